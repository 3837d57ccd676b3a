"""Models with moves that learn the exact model's answers."""

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
for package in ("matplotlib", "pycocotools", "safetensors"):
    pytest.importorskip(package, reason=f"training needs {package}")

import pvt_edge  # noqa: E402
from pvt_edge.checkpoints.sidecar import Sidecar  # noqa: E402
from pvt_edge.errors import ArgumentError, DataError, ExportError, UnknownNameError  # noqa: E402
from pvt_edge.models.table import moves_of  # noqa: E402
from pvt_edge.moves import NONE, Moves, read_moves  # noqa: E402
from pvt_edge.options.preprocessing import Preprocessing  # noqa: E402
from pvt_edge.scenes import write_scenes  # noqa: E402
from pvt_edge.training.detect import DetectTraining  # noqa: E402
from pvt_edge.training.distil import AgreementJudging  # noqa: E402
from pvt_edge.training.rounding import round_weight  # noqa: E402
from pvt_edge.training.run import Watcher  # noqa: E402
from pvt_edge.variants import get_variant  # noqa: E402

from .runs import same, stop_after  # noqa: E402

MOVES = {"stages.0.blocks.0.attn": {"pool_keys": 2}, "stages.1": {"pool_queries": 2}}


def test_a_model_with_moves_is_taught_by_itself(tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps(MOVES))
    told = []
    options = {"distil": "cells", "plan": str(tmp_path / "plan.json"), "imgsz": (64, 96), "workers": 0, "batch": 2}
    write_scenes(tmp_path / "scenes", 5, seed=3, height=64, width=96)
    (tmp_path / "scenes" / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    run = pvt_edge.train(tmp_path / "scenes" / "images", out=tmp_path / "run", epochs=2, watcher=Told(told), **options)
    assert 0 < run.figures["agreement"] <= 1
    assert any(line.startswith("exact: agreement 1.0") for line in told)
    assert any(line.startswith("note: left out:") and "broken.png" in line for line in told)
    assert any("pooled 2x2 in block 1 of stage 1" in line for line in told)
    assert (run.folder / "curves.png").is_file()
    healed = pvt_edge.create_model(None, "detect", weights=run.best)
    assert not moves_of(healed)  # the file holds weights; which moves a graph makes is said again
    assert json.loads(metadata_of(run.best)["moves"]) == MOVES
    (tmp_path / "plan.json").write_text(json.dumps({"stages.0": {"pool_queries": 4}}))  # which is another plan now
    again = pvt_edge.train(resume=run.folder, epochs=3)
    assert again.epochs == 3
    assert json.loads((run.folder / "plan.json").read_text()) == MOVES


def test_healed_weights_are_what_their_teacher_was_but_for_values(colours, tmp_path):
    """A segmenter of two classes in one logit, evaluated on stretched pictures."""
    teacher = pvt_edge.create_model("b0", "segment", 1, head="linear")
    pictures = Preprocessing(resize="stretch", imgsz=(64, 96), interpolation="bicubic")
    teacher.sidecar = Sidecar(preprocessing=pictures)
    teacher.thresholds = {"threshold": 0.4}
    labels = {"labels": json.dumps(["background", "blot"])}
    pvt_edge.save_weights(teacher, tmp_path / "teacher.safetensors", metadata=labels)
    (tmp_path / "plan.json").write_text(json.dumps(MOVES))
    options = {"distil": str(tmp_path / "teacher.safetensors"), "plan": str(tmp_path / "plan.json"), "workers": 0}
    run = pvt_edge.train(colours / "blue", task="segment", out=tmp_path / "run", epochs=1, batch=2, **options)
    healed = pvt_edge.create_model(None, "segment", weights=run.best)
    assert healed.sidecar.labels == ("background", "blot")
    assert healed.sidecar.preprocessing == pictures
    assert healed.thresholds == {"threshold": 0.4}


def test_one_file_for_both(tmp_path, monkeypatch):
    """Some steps make the moves and some do not; what is judged makes them, what is written says nothing of them."""
    (tmp_path / "plan.json").write_text(json.dumps(MOVES))
    write_scenes(tmp_path / "scenes", 5, seed=3, height=64, width=96)
    options = {"distil": "cells", "plan": str(tmp_path / "plan.json"), "imgsz": (64, 96), "workers": 0, "batch": 2}
    options |= {"exact_share": 0.5, "ema": False}
    steps, judged = [], []

    def distil(self, model, *rest):
        steps.append(moves_of(model))
        return taught(self, model, *rest)

    def judge(self, model):
        judged.append(moves_of(model))
        return judging(self, model)

    taught, judging = DetectTraining.distil, AgreementJudging.__call__
    monkeypatch.setattr(DetectTraining, "distil", distil)
    monkeypatch.setattr(AgreementJudging, "__call__", judge)
    run = pvt_edge.train(tmp_path / "scenes" / "images", out=tmp_path / "run", epochs=4, **options)
    made = Moves(read_moves(MOVES).blocks(get_variant("b0")))
    assert set(steps) == {NONE, made}
    assert judged[0] == NONE  # the teacher
    assert set(judged[1:]) == {made}
    assert "moves" not in metadata_of(run.best)
    with pytest.raises(KeyboardInterrupt), stop_after(1):
        pvt_edge.train(tmp_path / "scenes" / "images", out=tmp_path / "broken", epochs=4, **options)
    with pytest.raises(DataError, match=r"exact_share 0\.2: that run has 0\.5"):
        pvt_edge.train(resume=tmp_path / "broken", exact_share=0.2)
    assert same(pvt_edge.train(resume=tmp_path / "broken", exact_share=0.5).last, run.last)
    with pytest.raises(ArgumentError, match="exact_share goes with distil"):
        pvt_edge.train(tmp_path / "scenes", task="detect", exact_share=0.5)


PLAN = {
    "variant": "b0",
    "task": "detect",
    "blocks": {
        "stages": "int8",
        "stages.0": "float",
        "neck": "int8",
        "head.cls": "int8",
        "stages.3.blocks.1.attn": "float",
    },
    "moves": MOVES,
}


def test_int8_is_simulated_where_the_plan_places_it(tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    told = []
    options = {"distil": "cells", "plan": str(tmp_path / "plan.json"), "imgsz": (64, 96), "workers": 0, "batch": 2}
    labels = write_scenes(tmp_path / "scenes", 5, seed=3, height=64, width=96).rename(tmp_path / "labels.json")
    options["images"] = tmp_path / "scenes" / "images"
    run = pvt_edge.train(labels, out=tmp_path / "run", epochs=2, watcher=Told(told), **options)
    assert any(line.startswith("INT8 is simulated in 58 blocks, with ranges of 4 of the pictures") for line in told)
    assert any("taught by itself: keys pooled 2x2 " in line and "INT8 simulated in 58 blocks" in line for line in told)
    # what is saved are plain weights, none of them rounded, that have moved away from the teacher's
    healed, exact = (
        pvt_edge.create_model(None, "detect", weights=run.best),
        pvt_edge.create_model("b0", "detect", weights="cells"),
    )
    layer = "backbone.stages.2.blocks.0.mlp.fc1.weight"
    assert healed.state_dict().keys() == exact.state_dict().keys()
    weight = healed.state_dict()[layer]
    assert not torch.equal(weight, exact.state_dict()[layer])
    assert not torch.allclose(round_weight(weight), weight)
    assert json.loads((run.folder / "plan.json").read_text()) == {**PLAN, "moves": MOVES}
    with pytest.raises(KeyboardInterrupt), stop_after(1):
        pvt_edge.train(labels, out=tmp_path / "broken", epochs=2, **options)
    assert same(pvt_edge.train(resume=tmp_path / "broken").last, run.last)


class Told(Watcher):
    """Keeps the lines."""

    def __init__(self, lines):
        self.lines = lines

    def say(self, line):
        self.lines.append(line)


def metadata_of(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({}, ArgumentError, "give --plan"),
        ({"plan": "nowhere.json"}, DataError, "cannot read the plan"),
        ({"plan": {}}, DataError, "approximates nothing"),
        ({"plan": {**PLAN, "blocks": {}, "moves": {}}}, DataError, "approximates nothing"),
        ({"plan": {**PLAN, "blocks": {"stages.4": "int8"}}}, UnknownNameError, "block in the precision plan"),
        ({"plan": {**PLAN, "variant": "b1"}}, ExportError, "is for b1 detect, not b0 detect"),
        ({"plan": {"stages.9": {"pool_keys": 2}}}, UnknownNameError, "block in the moves"),
        ({"plan": PLAN, "extra": "scenes:2"}, ArgumentError, "extra does nothing where distil heals"),
        ({"plan": PLAN, "exact_share": 0.5}, ArgumentError, "plan of moves alone"),
        ({"plan": {"stages.0.blocks.0.attn": {"pool_keys": 64}}}, ArgumentError, "larger than its map"),
    ],
)
def test_plans_that_are_refused(colours, tmp_path, options, error, told):
    if isinstance(options.get("plan"), dict):
        (tmp_path / "plan.json").write_text(json.dumps(options["plan"]))
        options = {**options, "plan": str(tmp_path / "plan.json")}
    with pytest.raises(error, match=told):
        pvt_edge.train(colours / "blue", out=tmp_path / "run", distil="cells", imgsz=(64, 96), **options)


def test_weights_that_do_not_say_their_size(colours, tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps(MOVES))
    pvt_edge.save_weights(pvt_edge.create_model("b0", num_classes=2), tmp_path / "plain.safetensors")
    with pytest.raises(ArgumentError, match="give it with --imgsz"):
        pvt_edge.train(
            colours / "blue",
            task="classify",
            out=tmp_path / "run",
            distil=str(tmp_path / "plain.safetensors"),
            plan=str(tmp_path / "plan.json"),
        )
