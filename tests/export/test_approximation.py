"""Approximated exports: what chooses moves, what is refused, and that fp32 stays exact."""

import json

import numpy as np
import pytest
import torch

import pvt_edge
from pvt_edge.errors import ArgumentError, ExportError, UnknownNameError
from pvt_edge.export import move_costs
from pvt_edge.export.agreement import model_outputs
from pvt_edge.export.approximation import CLASS_SHARE, FEW, LADDER, SHARE, choose, read_approximation, take
from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.move_costs import greedy_sets, loss_per_ms, measure_moves
from pvt_edge.export.pictures import ExportPictures
from pvt_edge.export.precision.judge import AgreementJudge
from pvt_edge.export.precision.record import ApproximationRecord, MoveSensitivity
from pvt_edge.export.request import resolve_options
from pvt_edge.models.table import moves_of
from pvt_edge.moves import Moves, read_moves
from pvt_edge.options.export import ExportOptions
from pvt_edge.precision_plan import PrecisionPlan
from pvt_edge.runtimes import missing
from pvt_edge.scenes import draw_scene
from pvt_edge.variants import get_variant
from pvt_edge.verification.checks import tolerance

from .made import build

IMGSZ = (64, 96)
PLAN = {"stages.0": {"pool_keys": 2, "pool_queries": 2}, "stages.0.blocks.1.mlp": {"leave_out": True}}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = pvt_edge.create_model("b0", num_classes=5)
    made.weights_name = "made.safetensors"  # as loaded ones have it
    return made


@pytest.fixture(scope="module")
def pictures():
    return tuple(draw_scene(i, *IMGSZ).image[None] for i in range(4))


def judge_of(pictures):
    return AgreementJudge(pictures, "classify", None, "drawn pictures")


def runs(model):
    """What `choose` builds, in torch."""
    graph = DeployGraph(model, IMGSZ)
    return lambda moves: lambda picture: model_outputs(take(model, moves).model, graph, [picture])[0]


def test_the_strongest_set_within_the_budget_is_taken(model, pictures):
    free, record = choose(model, IMGSZ, runs(model), judge_of(pictures), 10.0, lambda text: None)
    assert free is not None
    assert free.moves == LADDER[-1].fitting(get_variant("b0"), IMGSZ)
    assert [trial.within_budget for trial in record.trials] == [True]
    assert (record.max_drop, record.max_class_drop) == (SHARE * 10.0, CLASS_SHARE * 10.0)
    assert not moves_of(model)  # the model given is left as it was
    none, record = choose(model, IMGSZ, runs(model), judge_of(pictures), -10.0, lambda text: None)
    assert none is None
    assert record.words == "none"
    assert len(record.trials) >= 3


def by_class(values):
    """A judge whose classes are as good as the names of pictures say, the model exact or not."""

    class Classes(AgreementJudge):
        def value(self, outputs):
            return values(outputs, self.reference)[0]

        def by_class(self, outputs):
            return values(outputs, self.reference)[1]

    return Classes


def test_a_rare_class_is_not_sold_for_the_mean(model, pictures):
    def values(outputs, reference):
        exact = all(np.array_equal(a["logits"], b["logits"]) for a, b in zip(outputs, reference, strict=False))
        return (0.9, {"common": 0.9, "rare": 0.9, "unseen": float("nan")}) if exact else (
            0.8999, {"common": 0.905, "rare": 0.7, "unseen": float("nan")}
        )  # fmt: skip

    judge = by_class(values)(pictures, "classify", None, "drawn pictures")
    none, record = choose(model, IMGSZ, runs(model), judge, 0.005, lambda text: None)
    assert none is None
    assert {trial.worst_class for trial in record.trials} == {"rare"}
    assert record.unjudged == ("unseen",)


def test_what_no_picture_says_rejects_no_set(model, pictures):
    """The few pictures that are looked at first show nothing to find, and moves silence a false alarm."""
    unsaid = float("nan")

    def values(outputs, reference):
        if len(outputs) == FEW:
            return unsaid, {"seen": unsaid, "unseen": 0.0}
        exact = all(np.array_equal(a["logits"], b["logits"]) for a, b in zip(outputs, reference, strict=True))
        return 0.9, {"seen": 0.9, "unseen": 0.0 if exact else unsaid}

    judge = by_class(values)(pictures * 3, "classify", None, "drawn pictures")
    chosen, record = choose(model, IMGSZ, runs(model), judge, 0.005, lambda text: None)
    assert chosen is not None
    assert [(trial.pictures, trial.drop) for trial in record.trials] == [(12, 0.0)]


def test_one_class_that_changes_among_few_is_no_end(model, pictures):
    def values(outputs, reference):
        exact = all(np.array_equal(a["logits"], b["logits"]) for a, b in zip(outputs, reference, strict=True))
        return (1.0 if exact else 1 - 1 / FEW if len(outputs) == FEW else 1.0), {}

    judge = by_class(values)(pictures * 3, "classify", None, "drawn pictures")
    assert choose(model, IMGSZ, runs(model), judge, 0.005, lambda text: None)[0] is not None


def test_one_picture_cannot_choose_and_judge(model, tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "one.png"), draw_scene(0, *IMGSZ).image)
    options = ExportOptions(calib=tmp_path / "one.png", allow_small=True, imgsz=IMGSZ, precisions=("fp32", "int8"))
    pictures = ExportPictures(resolve_options(model, options), "classify", tmp_path)
    pictures.collect()
    assert pictures.choosing_judge() is None
    assert len(pictures.judge(some_chose=False).inputs) == 1


def test_a_model_that_makes_moves_already(model, tmp_path):
    moved = take(model, read_moves(PLAN)).model
    with pytest.raises(ExportError, match=r"makes moves already \(keys pooled 2x2 in stage 1.*apply_moves"):
        pvt_edge.export_model(moved, tmp_path / "out", imgsz=IMGSZ)


def test_a_plan_names_blocks_that_moves_leave_out():
    moves = read_moves({"stages.0.blocks.1.mlp": {"leave_out": True}, "stages.0": {"pool_queries": 2}})
    gone = moves.left_out(get_variant("b0"))
    assert gone == ("stages.0.blocks.1.mlp",)
    plan = PrecisionPlan(
        variant="b0", task="classify", blocks={"stages.0.blocks.1.mlp.fc1": "int8", "stages.0.blocks.0.mlp": "int8"}
    )
    there = ["stages.0.blocks.0.mlp.fc1", "stages.0.blocks.1.attn.q"]
    assert plan.int8_blocks(there, gone) == {"stages.0.blocks.0.mlp.fc1"}
    with pytest.raises(UnknownNameError):
        plan.int8_blocks(there)


REFUSED = {
    "pool larger than the map": (
        {"stages.3": {"pool_queries": 4}},
        ArgumentError,
        r"larger than its map of 2x3",
    ),
    "no such block": (
        {"stages.7.blocks.0.attn": {"pool_keys": 2}},
        UnknownNameError,
        "stages.0.blocks.0.attn|nearest|did",
    ),
    "no such move": ({"stages.0": {"pool_everything": 2}}, ArgumentError, "there is no such move"),
    "contradiction": ({"stages.0.blocks.0.attn": {"pool_keys": 2, "leave_out": True}}, ArgumentError, "contradicts"),
    "another variant": ({"variant": "b2", "moves": PLAN}, ExportError, "is for variant b2, not b0"),
    "another task": ({"task": "detect", "moves": PLAN}, ExportError, "is for task detect, not classify"),
    "nothing": ({"moves": {}}, ExportError, "holds none"),
    "a bundle that is exact": ({"artifacts": []}, ExportError, "makes no approximation"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_plans_that_are_refused_before_any_work(case, tmp_path, model):
    content, kind, words = REFUSED[case]
    (tmp_path / "plan.json").write_text(json.dumps(content), encoding="utf-8")
    steps = []
    with pytest.raises(kind, match=words):
        pvt_edge.export_model(
            model,
            tmp_path / "out",
            imgsz=IMGSZ,
            precisions=("fp32", "int8"),
            calib=tmp_path,
            approximate=tmp_path / "plan.json",
            progress=lambda *step: steps.append(step),
        )
    assert steps == []
    assert not (tmp_path / "out").exists()


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(ExportError, match="auto, none or a file"):
        read_approximation(tmp_path / "no.json", get_variant("b0"), "classify", IMGSZ)
    with pytest.raises(ExportError, match="auto, none or a file"):
        read_approximation("a" * 300, get_variant("b0"), "classify", IMGSZ)


def test_a_plan_nested_too_deep(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ExportError, match="is not JSON"):
        read_approximation(tmp_path / "deep.json", get_variant("b0"), "classify", IMGSZ)


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory):
    """An export with a plan of moves, judged by agreement and not gated."""
    if missing("openvino") or missing("onnxruntime"):
        pytest.skip("OpenVINO and ONNX Runtime are not both installed")
    folder = tmp_path_factory.mktemp("approximated")
    (folder / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    import cv2

    for i in range(16):
        cv2.imwrite(str(folder / f"{i}.png"), draw_scene(i, *IMGSZ).image)
    return pvt_edge.export_model(
        model,
        folder / "out",
        imgsz=IMGSZ,
        precisions=("fp32", "int8"),
        calib=folder / "*.png",
        max_drop=1.0,
        approximate=folder / "plan.json",
        tune="off",
    )


def test_int8_makes_the_moves_and_fp32_does_not(bundle, model, pictures):
    manifest = bundle.manifest
    assert manifest.moves == Moves(read_moves(PLAN).blocks(get_variant("b0")))
    moved = {artifact.file for artifact in manifest.artifacts if artifact.approximated}
    assert moved == {"openvino/approx.xml", "openvino/int8.xml", "model.approx.onnx", "model.int8.onnx"}
    for artifact in manifest.artifacts:
        content = (bundle.folder / artifact.file).read_bytes()
        assert b"stages.0.blocks.0.mlp.fc1" in content
        assert (b"stages.0.blocks.1.mlp.fc1" in content) == (artifact.file not in moved), artifact.file
    wanted = model_outputs(model, DeployGraph(model, IMGSZ), pictures)
    for runtime in ("openvino", "onnxruntime"):
        with pvt_edge.load(bundle.folder, runtime, precision="fp32") as predictor:
            for picture, want in zip(pictures, wanted, strict=True):
                found = predictor.runtime.infer({"images": picture})["logits"]
                assert np.abs(found - want["logits"]).max() < 1e-4


def test_approx_is_the_trained_model_with_the_moves(bundle, model, pictures):
    moved = take(model, bundle.manifest.moves).model
    wanted = model_outputs(moved, DeployGraph(model, IMGSZ), pictures)
    for runtime, most in (("openvino", 2e-2), ("onnxruntime", 1e-4)):  # OpenVINO's may run in bf16
        with pvt_edge.load(bundle.folder, runtime, precision="approx") as predictor:
            assert predictor.runtime.precision == "approx"
            for picture, want in zip(pictures, wanted, strict=True):
                found = predictor.runtime.infer({"images": picture})["logits"]
                assert np.abs(found - want["logits"]).max() < most * max(1, np.abs(want["logits"]).max())


def test_floats_alone_can_be_approximated(bundle, model, tmp_path):
    out = pvt_edge.export_model(
        model, tmp_path / "out", imgsz=IMGSZ, approximate=bundle.folder, calib=bundle.folder.parent, tune="off"
    )
    manifest = out.manifest
    exact = {artifact.file for artifact in manifest.artifacts if not artifact.approximated}
    assert exact == {"model.fp32.onnx", "openvino/fp32.xml"}
    if not manifest.not_written:  # the budget held
        assert manifest.approximated == ("approx",)
        assert manifest.moves == bundle.manifest.moves
    assert manifest.precision_plan is None
    report = (out.folder / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# Approximation of ")
    assert "## Where INT8 is" not in report


def test_nothing_is_approximated_without_pictures(model, tmp_path):
    with pytest.raises(ExportError, match="chosen by what they lose on pictures"):
        pvt_edge.export_model(model, tmp_path / "out", imgsz=IMGSZ, approximate="auto")


def test_the_plan_of_a_bundle_gives_the_same_moves(bundle):
    again = read_approximation(bundle.folder, get_variant("b0"), "classify", IMGSZ)
    assert again == bundle.manifest.moves


def test_what_is_said_of_it(bundle, pvt_edge_script):
    import subprocess

    report = (bundle.folder / "report.md").read_text(encoding="utf-8")
    assert "## Approximations" in report
    assert "queries pooled 2x2 in stage 1" in report
    told = subprocess.run(
        [pvt_edge_script, "inspect", str(bundle.folder)], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    assert "approximated" in told
    assert "MLP left out in block 2 of stage 1" in told


def test_verify_allows_more_of_what_is_approximated():
    for task in ("classify", "detect", "features"):
        assert tolerance(task, "fp32", "approx") != tolerance(task, "fp32", "int8")


def row(words, drop, ms_saved, **details):
    return MoveSensitivity(words=words, drop=drop, ms_saved=ms_saved, exact_ms=10.0, details=details)


def test_moves_are_ordered_by_what_they_lose_for_a_millisecond():
    rows = [row("dear", 0.01, 1.0), row("fair", 0.01, 5.0), row("free", -0.01, 0.5), row("near", 0.0, 1.0, cosine=0.5)]
    assert [found.words for found in sorted(rows, key=loss_per_ms)] == ["free", "fair", "dear", "near"]


def test_greedy_sets_grow_to_all():
    order = [read_moves({f"stages.{i}.blocks.{j}.mlp": {"leave_out": True}}) for i in range(4) for j in range(3)]
    sets = greedy_sets(order)
    assert len(sets) <= 8
    assert [len(moves.root) for moves in sets] == sorted({len(moves.root) for moves in sets})
    assert set(sets[0].root) < set(sets[-1].root)
    assert set(sets[-1].root) == {name for moves in order for name in moves.root}
    assert greedy_sets([]) == []


def test_greedy_sets_never_grow_weaker():
    order = [read_moves({"stages.0.blocks.0.attn": move}) for move in (
        {"pool_queries": 4}, {"pool_queries": 2}, {"leave_out": True}, {"pool_keys": 2}
    )]  # fmt: skip
    found = [moves.root["stages.0.blocks.0.attn"] for moves in greedy_sets(order)]
    assert [(block.pool_queries, block.leave_out) for block in found] == [(4, False), (4, False), (1, True), (1, True)]


def test_moves_are_measured_alone(pictures, tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from pvt_edge.export.onnx import export_onnx
    from pvt_edge.export.openvino import read_model
    from pvt_edge.export.report.bars import draw_moves
    from pvt_edge.export.report.sections import moves_alone_section

    model = build("classify", "b0", classes=5)  # in which every block counts
    given = [
        read_moves(one) for one in ({"stages.0": {"pool_keys": 2}}, {"stages.1.blocks.0.mlp": {"leave_out": True}})
    ]
    monkeypatch.setattr(move_costs, "single_moves", lambda variant, imgsz: given)
    monkeypatch.setattr(move_costs, "SECONDS", 0.01)
    monkeypatch.setattr(move_costs, "WORTH", -1e9)  # whatever the clock says

    def convert(moves):
        export_onnx(DeployGraph(take(model, moves).model, IMGSZ, target="openvino"), tmp_path / "alone.onnx")
        return read_model(tmp_path / "alone.onnx")

    costs = measure_moves(get_variant("b0"), IMGSZ, convert, judge_of(pictures), lambda text: None)
    assert {found.words for found in costs.alone} == {moves.words(get_variant("b0")) for moves in given}
    assert all(found.exact_ms > 0 and found.details["cosine"] < 1 for found in costs.alone)
    assert costs.ladder[-1].blocks(get_variant("b0")) == (given[0] | given[1]).blocks(get_variant("b0"))
    metric = judge_of(pictures).metric
    record = ApproximationRecord(words="none", metric=metric, alone=costs.alone)
    assert all(found.words in moves_alone_section(record) for found in costs.alone)
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert len(draw_moves(record).axes[0].collections) == 1
    assert draw_moves(ApproximationRecord(words="none", metric=metric)) is None
