"""Models with moves that learn the exact model's answers."""

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
for package in ("matplotlib", "pycocotools", "safetensors"):
    pytest.importorskip(package, reason=f"training needs {package}")

import pvt_edge  # noqa: E402
from pvt_edge.errors import ArgumentError, DataError, UnknownNameError  # noqa: E402
from pvt_edge.models.moves import moves_of  # noqa: E402
from pvt_edge.scenes import write_scenes  # noqa: E402
from pvt_edge.training.run import Watcher  # noqa: E402

MOVES = {"stages.0.blocks.0.attn": {"pool_keys": 2}, "stages.1": {"pool_queries": 2}}


def test_a_model_with_moves_is_taught_by_itself(tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps(MOVES))
    told = []
    options = {"distil": "cells", "plan": str(tmp_path / "plan.json"), "imgsz": (64, 96), "workers": 0, "batch": 2}
    write_scenes(tmp_path / "scenes", 5, seed=3, height=64, width=96)
    run = pvt_edge.train(tmp_path / "scenes" / "images", out=tmp_path / "run", epochs=2, watcher=Told(told), **options)
    assert 0 < run.figures["agreement"] <= 1
    assert any(line.startswith("exact: agreement 1.0") for line in told)
    assert any("pooled 2x2 in block 1 of stage 1" in line for line in told)
    assert (run.folder / "curves.png").is_file()
    healed = pvt_edge.create_model(None, "detect", weights=run.best)
    assert not moves_of(healed)  # the file holds weights; which moves a graph makes is said again
    assert json.loads(metadata_of(run.best)["moves"]) == MOVES
    again = pvt_edge.train(resume=run.folder, epochs=3)
    assert again.epochs == 3


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
        ({"plan": {"stages.9": {"pool_keys": 2}}}, UnknownNameError, "block in the moves"),
        ({"plan": {"stages.0.blocks.0.attn": {"pool_keys": 64}}}, ArgumentError, "larger than its map"),
    ],
)
def test_plans_that_are_refused(colours, tmp_path, options, error, told):
    if isinstance(options.get("plan"), dict):
        (tmp_path / "plan.json").write_text(json.dumps(options["plan"]))
        options = {"plan": str(tmp_path / "plan.json")}
    with pytest.raises(error, match=told):
        pvt_edge.train(colours / "blue", out=tmp_path / "run", distil="cells", imgsz=(64, 96), **options)
