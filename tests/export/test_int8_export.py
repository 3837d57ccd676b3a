"""INT8 exports from end to end: what is written, by which plan and budget, and what becomes of an interrupted one."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import pvt_edge
from pvt_edge.bundle import read_bundle
from pvt_edge.bundle.block_names import block_of
from pvt_edge.checkpoints.preprocessing import normalise
from pvt_edge.errors import DataError, ExportError, UnknownNameError
from pvt_edge.export import auto_precision
from pvt_edge.export import job as job_module
from pvt_edge.export import pictures as export_pictures
from pvt_edge.export.precision import search as search_module
from pvt_edge.export.precision.record import Latency, SearchRecord
from pvt_edge.export.precision.search import SearchInterruptedError
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.runtimes.openvino import openvino_core
from pvt_edge.scenes import draw_scene, write_scenes
from pvt_edge.variants import get_variant

from .made import build

for package in ("onnx", "onnxruntime", "openvino"):
    pytest.importorskip(package, reason=f"{package} is not installed")

TINY = dataclasses.replace(get_variant("b0"), depths=(1, 1, 1, 1))
BLOCKS = 4 + 4 * 8 + 2 + 1  # patch embeds; q, k, v, products, proj, fc1, dwconv, fc2; two of the reductions; head
SMALL = {"imgsz": (64, 64), "calib_n": 5, "allow_small": True, "tune": False}
INT8 = {**SMALL, "precisions": ("fp32", "int8")}
FP32_FILES = {"model.fp32.onnx", "openvino/fp32.bin", "openvino/fp32.xml"}
INT8_FILES = {"model.int8.onnx", "openvino/int8.bin", "openvino/int8.xml"}


@pytest.fixture(scope="module")
def calib(tmp_path_factory):
    """Five drawn pictures."""
    folder = tmp_path_factory.mktemp("calib")
    for i in range(5):
        cv2.imwrite(str(folder / f"{i}.png"), draw_scene(50 + i, 96, 128).image)
    return folder


@pytest.fixture(scope="module")
def model():
    """A small classifier of 3 classes."""
    return build("classify", TINY)


def export_in_child(model: torch.nn.Module, out: Path, calib: Path, hash_seed: str) -> None:
    """`export_model` in a process of its own, as two runs of the command are."""
    torch.save(model, out.with_suffix(".pt"))
    code = (
        "import torch, pvt_edge; torch.set_num_threads(1); "
        f"model = torch.load({str(out.with_suffix('.pt'))!r}, weights_only=False); "
        f"pvt_edge.export_model(model, {str(out)!r}, calib={str(calib)!r}, **{INT8!r})"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def bundle(model, calib, tmp_path_factory):
    """The classifier with the recorded placement of INT8."""
    out = tmp_path_factory.mktemp("int8") / "b0"
    export_in_child(model, out, calib, "0")
    return read_bundle(out)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def record_of(folder: Path) -> SearchRecord:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return SearchRecord.model_validate(report["search"])


def int8_blocks(of: dict[str, str]) -> set[str]:
    return {block for block, precision in of.items() if precision == "int8"}


def layers_of(path: Path) -> dict[str, bool]:
    """Every block of an ONNX file, and whether all its layers read what a quantiser gives."""
    import onnx

    graph = onnx.load(path).graph
    producers = {output: node for node in graph.node for output in node.output}

    def quantised(tensor: str) -> bool:
        node = producers.get(tensor)
        while node is not None and node.op_type in ("Reshape", "Transpose", "Squeeze", "Unsqueeze"):
            node = producers.get(node.input[0])
        return node is not None and node.op_type == "DequantizeLinear"

    found: dict[str, bool] = {}
    for node in graph.node:
        if "#" in node.name and node.op_type in ("Conv", "Gemm", "MatMul"):
            block = block_of(node.name)
            found[block] = found.get(block, True) and all(quantised(tensor) for tensor in node.input[:2])
    return found


# --- what is written


def test_files_and_artifacts(bundle):
    files = set(content(bundle.folder))
    assert {name for name in files if not name.startswith("plots/")} == (
        FP32_FILES | INT8_FILES | {"model.json", "report.md", "report.json"}
    )
    found = [(a.runtime, a.precision, a.file) for a in bundle.manifest.artifacts]
    assert found == [
        ("onnxruntime", "fp32", "model.fp32.onnx"),
        ("onnxruntime", "int8", "model.int8.onnx"),
        ("openvino", "fp32", "openvino/fp32.xml"),
        ("openvino", "int8", "openvino/int8.xml"),
    ]
    assert bundle.manifest.auto_precision == {"openvino": "int8", "onnxruntime": "fp32"}
    again = read_bundle(bundle.folder)
    assert again.manifest == bundle.manifest
    for artifact in again.manifest.artifacts:
        assert again.path(artifact).is_file()  # its hash holds


def test_the_plan_names_every_block_and_is_what_runs(bundle):

    plan = bundle.manifest.precision_plan
    fp32, int8 = (layers_of(bundle.folder / f"model.{precision}.onnx") for precision in ("fp32", "int8"))
    assert len(plan) == BLOCKS
    assert set(plan) == set(fp32) - {"stages.0.blocks.0.attn.sr"}  # which OpenVINO sums wrongly in int8
    assert not any(fp32.values())
    assert 0 < len(int8_blocks(plan)) < BLOCKS
    assert {block for block, quantised in int8.items() if quantised} == int8_blocks(plan)
    ir = openvino_core().read_model(bundle.folder / "openvino" / "int8.xml")
    stored = [
        op for op in ir.get_ops() if op.get_type_name() == "Constant" and op.get_element_type().to_string() == "i8"
    ]
    products = sum(block.endswith("products") for block in int8_blocks(plan))
    assert len(stored) == len(int8_blocks(plan)) - products


def test_report(bundle):
    record = record_of(bundle.folder)
    assert (record.variant, record.task, record.placement) == ("b0", "classify", "recorded")
    assert (record.tuned, record.kept, record.max_drop, record.interrupted) == (False, True, None, False)
    assert (record.metric.name, record.metric.data) == ("agreement", "5 calibration pictures, unlabelled")
    (int8,) = [candidate for candidate in record.candidates if candidate.chosen]
    assert int8.name == "int8 recorded"
    assert int8.int8_blocks == len(int8_blocks(bundle.manifest.precision_plan))
    assert all(candidate.latency is None for candidate in record.candidates)
    told = (bundle.folder / "report.md").read_text(encoding="utf-8")
    assert record.verdict in told
    assert "int8 recorded" in told


def test_both_runtimes_give_nearly_the_models_answers(bundle, model):
    picture = draw_scene(1, 120, 150).image
    resize = bundle.manifest.resize
    pixels = apply(picture, plan(picture.shape[:2], (64, 64), resize), resize)[None]
    with torch.inference_mode():
        wanted = torch.softmax(model(normalise(torch.from_numpy(pixels)))[0], 0).numpy()
    assert wanted.std() > 0.05
    for runtime in ("openvino", "onnxruntime"):
        with pvt_edge.load(bundle.folder, runtime, precision="int8", threads=1) as predictor:
            found = predictor(picture).probs.data
        assert np.abs(found - wanted).max() < 0.1
        assert np.abs(found - wanted).max() > 1e-5  # it is not fp32 that ran


def test_another_process_writes_the_same_bytes(bundle, model, calib, tmp_path):
    export_in_child(model, tmp_path / "b0", calib, "7")
    first, second = content(bundle.folder), content(tmp_path / "b0")
    assert first.keys() == second.keys()
    assert [name for name in sorted(FP32_FILES | INT8_FILES) if first[name] != second[name]] == []


def test_int8_alone_in_one_format_at_any_batch(calib, tmp_path):
    import onnxruntime

    options = {**SMALL, "precisions": ("int8",), "formats": ("onnx",), "dynamic_batch": True}
    bundle = pvt_edge.export_model(build("features", TINY), tmp_path / "b0", calib=calib, **options)
    assert [a.file for a in bundle.manifest.artifacts] == ["model.int8.onnx"]
    assert not (FP32_FILES | INT8_FILES - {"model.int8.onnx"}) & content(bundle.folder).keys()
    session = onnxruntime.InferenceSession(bundle.folder / "model.int8.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": np.zeros((3, 64, 64, 3), np.uint8)})
    assert [array.shape for array in found] == [(3, 32, 16, 16), (3, 64, 8, 8), (3, 160, 4, 4), (3, 256, 2, 2)]


# --- a plan in place of a search


def test_the_plan_of_a_bundle(bundle, model, calib, tmp_path):
    options = {**INT8, "plan": bundle.folder, "formats": ("openvino",)}
    again = pvt_edge.export_model(model, tmp_path / "b0", calib=calib, **options)
    assert again.manifest.precision_plan == bundle.manifest.precision_plan
    assert record_of(again.folder).placement == "given"
    name = "openvino/int8.bin"
    assert content(again.folder)[name] == content(bundle.folder)[name]


def test_a_plan_of_modules(model, calib, tmp_path):
    blocks = {"stages.1": "int8", "stages.1.blocks.0.attn": "float", "head": "int8"}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"variant": "b0", "task": "classify", "blocks": blocks}))
    options = {**INT8, "plan": path, "formats": ("openvino",)}
    manifest = pvt_edge.export_model(model, tmp_path / "b0", calib=calib, **options).manifest
    mlp = {f"stages.1.blocks.0.mlp.{part}" for part in ("fc1", "dwconv", "fc2")}
    assert int8_blocks(manifest.precision_plan) == mlp | {"stages.1.patch_embed", "head"}
    assert len(manifest.precision_plan) == BLOCKS


BAD_PLANS = {
    "of another variant": ({"variant": "b1"}, ExportError, "is for b1 classify, not b0 classify"),
    "of another task": ({"task": "detect"}, ExportError, "is for b0 detect, not b0 classify"),
    "of no such block": (
        {"blocks": {"stages.0.blocks.0.mlp.fc3": "int8"}},
        UnknownNameError,
        "did you mean 'stages.0.blocks.0.mlp.fc",
    ),
    "all in float": ({"blocks": {"stages.0": "float"}}, ExportError, "runs no block in INT8: leave --int8 out"),
    "of INT8 that is not asked for": ({"precisions": ("fp32",)}, ExportError, "not asked for: add --int8"),
    "of nothing": ({"blocks": {}}, ExportError, "runs no block in INT8: leave --int8 out"),
}


@pytest.mark.parametrize("what", BAD_PLANS)
def test_plans_refused(what, model, calib, tmp_path):
    change, kind, told = BAD_PLANS[what]
    path = tmp_path / "plan.json"
    precisions = change.get("precisions", ("fp32", "int8"))
    content = {"variant": "b0", "task": "classify", "blocks": {"stages.0": "int8"}} | change
    path.write_text(json.dumps({name: value for name, value in content.items() if name != "precisions"}))
    options = {**INT8, "plan": path, "formats": ("openvino",), "imgsz": (32, 32), "precisions": precisions}
    steps = []
    with pytest.raises(kind) as caught:
        pvt_edge.export_model(model, tmp_path / "b0", calib=calib, progress=lambda *step: steps.append(step), **options)
    assert told in str(caught.value)
    assert kind is UnknownNameError or not steps  # which blocks there are, only the graph knows
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["plan.json"]


# --- budget and metric


@pytest.fixture(scope="module")
def over_budget(calib, tmp_path_factory):
    """A detector whose INT8 may lose nothing, which it cannot hold."""
    out = tmp_path_factory.mktemp("budget") / "b0"
    options = {**INT8, "max_drop": 0.0, "metric": "agreement"}
    return pvt_edge.export_model(build("detect", TINY), out, calib=calib, **options)


def test_int8_beyond_the_budget_is_not_written(over_budget):
    manifest, record = over_budget.manifest, record_of(over_budget.folder)
    assert not INT8_FILES & content(over_budget.folder).keys()
    assert [(a.runtime, a.precision) for a in manifest.artifacts] == [("onnxruntime", "fp32"), ("openvino", "fp32")]
    assert manifest.precision_plan is None
    assert manifest.auto_precision["openvino"] in ("fp32", "bf16")
    assert set(manifest.not_written) == {"openvino-int8", "onnxruntime-int8"}
    assert all("loses" in reason for reason in manifest.not_written.values())
    assert manifest.calibration.count == 5
    assert (record.kept, record.max_drop) == (False, 0.0)
    (int8,) = [candidate for candidate in record.candidates if candidate.name.startswith("int8")]
    assert (int8.within_budget, int8.chosen) == (False, False)
    assert int8.drop > 0
    assert record.verdict.startswith("int8 not written: matched-box F1 with fp32 may fall by 0.0, ")
    assert f"loses {int8.drop:.4f}" in record.verdict
    assert record.verdict in (over_budget.folder / "report.md").read_text(encoding="utf-8")


def test_bf16_is_held_to_the_budget_too(over_budget):
    bf16 = next((c for c in record_of(over_budget.folder).candidates if c.name == "bf16"), None)
    if bf16 is None:
        pytest.skip("this CPU does not run bfloat16")
    lost = bf16.drop > 0
    assert ("openvino-bf16" in over_budget.manifest.auto_excluded) == lost
    if lost:
        assert over_budget.manifest.auto_precision["openvino"] == "fp32"


def test_int8_that_is_required(over_budget, calib, tmp_path):
    out = tmp_path / "b0"
    shutil.copytree(over_budget.folder, out)
    options = {**INT8, "max_drop": 0.0, "metric": "agreement", "require_int8": True}
    with pytest.raises(ExportError, match="required"):
        pvt_edge.export_model(build("detect", TINY), out, calib=calib, **options)
    assert content(out) == content(over_budget.folder)


def test_auto_precision_runs_where_int8_was_not_written(over_budget):
    with pvt_edge.load(over_budget.folder, threads=1) as predictor:
        assert predictor(draw_scene(1, 96, 96).image).boxes is not None
    with pytest.raises(pvt_edge.PvtEdgeError, match="int8"):
        pvt_edge.load(over_budget.folder, "onnxruntime", precision="int8")


def test_a_bundle_of_nothing_replaces_none(bundle, model, calib, tmp_path):
    """INT8 in ONNX was all that was asked for, and it is not worth writing."""
    out = tmp_path / "b0"
    shutil.copytree(bundle.folder, out)
    options = {**SMALL, "precisions": ("int8",), "formats": ("onnx",), "max_drop": 0.0, "metric": "agreement"}
    with pytest.raises(ExportError, match=r"int8 not written: cosine with fp32 may fall by 0\.0"):
        pvt_edge.export_model(build("features", TINY), out, calib=calib, **options)
    assert content(out) == content(bundle.folder)


def test_top1_on_a_folder_of_classes(model, calib, tmp_path):
    labels = ["ant", "bee", "cat"]
    pictures = [(label, i) for i, label in enumerate(["ant", "bee", "cat", "ant", "bee", "cat", "cat"])]
    for label, seed in pictures:
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "data" / label / f"{seed}.png"), draw_scene(seed, 96, 128).image)
    options = {**INT8, "formats": ("openvino",), "labels": labels, "data": tmp_path / "data", "metric": "top1"}
    out = pvt_edge.export_model(model, tmp_path / "b0", calib=calib, **options)
    record = record_of(out.folder)
    resize = out.manifest.resize
    right = 0
    for label, seed in pictures:
        image = cv2.imread(str(tmp_path / "data" / label / f"{seed}.png"))
        pixels = apply(image, plan(image.shape[:2], (64, 64), resize), resize)[None]
        with torch.inference_mode():
            right += labels[int(model(normalise(torch.from_numpy(pixels))).argmax())] == label
    assert 0 < right < len(pictures)
    assert (record.metric.name, record.candidates[0].name) == ("top1", "fp32")
    assert record.metric.data == f"7 labelled pictures of {tmp_path / 'data'}"
    assert record.candidates[0].value == pytest.approx(right / len(pictures), abs=1e-4)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """A COCO file of three scenes, pictures in the folder `images` beside it."""
    return write_scenes(tmp_path_factory.mktemp("coco"), 3, seed=9, height=240, width=320)


def test_map_on_a_coco_file(coco, calib, tmp_path, monkeypatch):
    from pvt_edge.data.coco import read_coco
    from pvt_edge.evaluation.arrays import answers_of
    from pvt_edge.runtimes import open_runtime
    from pvt_edge.tasks import get_task

    monkeypatch.setattr(export_pictures, "ACCURACY_SCENES", 1)
    cells = pvt_edge.create_model("b0", "detect", weights="cells")
    options = {**INT8, "imgsz": (96, 128), "formats": ("openvino",), "data": coco, "images": coco.parent / "images"}
    out = pvt_edge.export_model(cells, tmp_path / "b0", calib=calib, **options)
    record = record_of(out.folder)
    assert (record.metric.name, record.metric.data) == ("map", f"3 labelled pictures of {coco}")
    assert record.max_drop == 0.005
    dataset, task = read_coco(coco, coco.parent / "images"), get_task("detect")
    with open_runtime("openvino", out.folder / "openvino" / "fp32.xml", precision="fp32", threads=1) as runtime:
        labelled = task.judge(dataset, dataset.names, task.judged_at(out.manifest.postprocess, dataset.names))
        answers = answers_of(task, labelled, runtime, out.manifest.resize, dataset.names)
        wanted = labelled.score([labelled.rate(*answer) for answer in answers]).figures["AP"]
    assert wanted > 0.1
    assert record.candidates[0].value == pytest.approx(wanted, abs=1e-3)


REFUSED = {
    "labels of another model": ({"labels": ["a", "b", "c"]}, ExportError, "are not the model's, in its order"),
    "a metric of another task": ({"metric": "top1"}, ExportError, "the metric top1 does not judge detect"),
    "no pictures": ({"images": "/nowhere/at/all"}, DataError, "/nowhere/at/all"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_labelled_data_refused(what, coco, calib, tmp_path):
    change, kind, told = REFUSED[what]
    options = {**INT8, "imgsz": (32, 32), "formats": ("openvino",), "data": coco, "images": coco.parent / "images"}
    options |= {"labels": ["RBC", "WBC", "Platelets"], **change}
    with pytest.raises(kind) as caught:
        pvt_edge.export_model(build("detect", TINY), tmp_path / "b0", calib=calib, **options)
    assert told in str(caught.value)
    assert not (tmp_path / "b0").exists()


def test_top1_of_bundled_detector_weights_is_refused(calib, tmp_path):
    cells = pvt_edge.create_model("b0", "detect", weights="cells")
    options = {**INT8, "imgsz": (32, 32), "formats": ("openvino",), "metric": "top1"}
    with pytest.raises(ExportError, match="top1"):
        pvt_edge.export_model(cells, tmp_path / "b0", calib=calib, **options)


def test_a_few_pictures_are_refused_unless_allowed(model, calib, tmp_path):
    with pytest.raises(DataError, match=r"found 5 distinct usable .* at least 16 are needed.* --allow-small"):
        pvt_edge.export_model(model, tmp_path / "b0", calib=calib, **{**INT8, "calib_n": 16, "allow_small": False})
    assert list(tmp_path.iterdir()) == []


# --- a search


def test_a_search(model, calib, tmp_path, monkeypatch):
    for module in (search_module, auto_precision):
        for name in [name for name in vars(module) if name.endswith("_SECONDS")]:
            monkeypatch.setattr(module, name, 0.02)
    steps: list[str] = []
    options = {**INT8, "imgsz": (32, 32), "tune": True}
    out = pvt_edge.export_model(
        model, tmp_path / "b0", calib=calib, progress=lambda *told: steps.append(told[2]), **options
    )
    record, manifest = record_of(out.folder), out.manifest
    assert (record.placement, record.tuned, record.interrupted) == ("searched", True, False)
    blocks = BLOCKS - 4 * 3  # attention to a single key needs no q, no k and no products
    assert len(record.sensitivities) == len({s.block for s in record.sensitivities}) == blocks
    assert sum("alone in INT8" in step for step in steps) == blocks
    candidates = {candidate.name: candidate for candidate in record.candidates}
    assert {"fp32", "int8 mlp", "int8 all"} <= candidates.keys()
    timed = {name: candidate.latency.p50 for name, candidate in candidates.items() if candidate.latency}
    assert timed.keys() == {name for name, candidate in candidates.items() if candidate.within_budget}
    assert min(latency.inferences for latency in (c.latency for c in candidates.values() if c.latency)) >= 5
    fastest = min(timed, key=timed.get)
    assert [name for name, candidate in candidates.items() if candidate.chosen] == [fastest]
    written = fastest not in ("fp32", "bf16")
    assert manifest.auto_precision["openvino"] == ("int8" if written else fastest)
    assert record.kept == written == bool(record.layer_groups)
    assert (content(out.folder).keys() >= INT8_FILES) == written
    assert (manifest.precision_plan is not None) == ("int8" in {a.precision for a in manifest.artifacts})
    if written:
        assert len(int8_blocks(manifest.precision_plan)) == candidates[fastest].int8_blocks
        assert manifest.auto_precision["onnxruntime"] in ("fp32", "int8")


@pytest.mark.parametrize(("int8_ms", "written"), [(2.0, True), (4.0, False)])
def test_each_runtime_has_int8_where_it_pays_there(model, calib, tmp_path, monkeypatch, int8_ms, written):
    """In OpenVINO floats are faster; what ONNX Runtime has is decided by its own clock."""

    def latency(ms: float) -> Latency:
        return Latency(p50=ms, p90=ms, p99=ms, inferences=9)

    def in_openvino(runs, seconds):
        return {name: latency(9.0 if name.startswith("int8") else 3.0) for name in runs}

    def in_onnx_runtime(files, picture, tune):
        return {precision: latency(int8_ms if precision == "int8" else 3.0) for precision in files}

    monkeypatch.setattr(search_module, "measure", in_openvino)
    monkeypatch.setattr(job_module, "time_onnx", in_onnx_runtime)
    manifest = pvt_edge.export_model(model, tmp_path / "b0", calib=calib, **{**INT8, "tune": "quick"}).manifest
    held = {(artifact.runtime, artifact.precision) for artifact in manifest.artifacts}
    assert ("openvino", "int8") not in held
    assert "not faster" in manifest.not_written["openvino-int8"]
    assert (("onnxruntime", "int8") in held) == (manifest.precision_plan is not None) == written
    assert manifest.auto_precision["onnxruntime"] == ("int8" if written else "fp32")
    assert ("not faster" in manifest.not_written.get("onnxruntime-int8", "")) == (not written)
    title = (tmp_path / "b0" / "report.md").read_text(encoding="utf-8").splitlines()[2]
    assert title.startswith("**No INT8 was written: ") != written


def test_ctrl_c_during_a_search(bundle, model, calib, tmp_path):
    out = tmp_path / "bundles" / "b0"
    shutil.copytree(bundle.folder, out)

    def stop(done: int, total: int, step: str) -> None:
        if step.startswith(f"block 3 of {BLOCKS} alone"):
            raise KeyboardInterrupt

    with pytest.raises(SearchInterruptedError, match="stopped during the search") as caught:
        pvt_edge.export_model(model, out, calib=calib, progress=stop, **{**INT8, "tune": True})
    assert content(out) == content(bundle.folder)
    kept = tmp_path / "bundles" / "b0.search.json"
    assert str(kept) in str(caught.value)
    assert str(caught.value).count("\n") == 0
    record = SearchRecord.model_validate_json(kept.read_text(encoding="utf-8"))
    assert (record.interrupted, record.kept, len(record.sensitivities)) == (True, False, 2)
    assert record.candidates[0].name == "fp32"
    assert {path.name for path in out.parent.iterdir()} - {".b0.lock"} == {"b0", "b0.search.json"}
