"""What trains, how fast and at which size."""

from dataclasses import replace
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
for package in ("matplotlib", "pycocotools", "safetensors"):
    pytest.importorskip(package, reason=f"training needs {package}")

import pvt_edge  # noqa: E402
from pvt_edge.errors import ArgumentError, PvtEdgeError, UnknownNameError  # noqa: E402
from pvt_edge.options.train import TrainOptions, frozen_stages, seconds_of  # noqa: E402
from pvt_edge.training.recipe import choose_recipe, rate_at  # noqa: E402
from pvt_edge.training.run import Watcher  # noqa: E402
from pvt_edge.training.start import count_parameters, freeze, parameter_groups  # noqa: E402
from pvt_edge.training.task import get_training, usual_size  # noqa: E402

SMALL = {"variant": "b0", "weights": "cells", "imgsz": (32, 32), "workers": 0}


def weights_of(path):
    from safetensors.torch import load_file

    return load_file(path)


def test_freezing_says_how_many_parameters_train():
    model = pvt_edge.create_model("b0", "classify", 10)
    assert count_parameters(model) == (3_412_330, 3_412_330)
    frozen = freeze(model, "head-only")
    assert count_parameters(model) == (2_570, 3_412_330)
    assert frozen == [model.backbone]
    detector = pvt_edge.create_model("b0", "detect", 3, head="lite")
    freeze(detector, "head-only")
    assert all(parameter.requires_grad for parameter in (*detector.neck.parameters(), *detector.head.parameters()))


def test_frozen_parts_stay_as_they_are(colours, tmp_path):
    run = pvt_edge.train(colours, task="classify", out=tmp_path / "run", epochs=1, freeze="stages.0-2", **SMALL)
    before = pvt_edge.create_model("b0", "detect", weights="cells").backbone.state_dict()
    after = weights_of(run.best)
    moved = {name for name, tensor in before.items() if not torch.equal(tensor.float(), after[f"backbone.{name}"])}
    assert moved and all(name.startswith("stages.3.") for name in moved)


def test_rates_fall_from_stage_to_stage():
    model = pvt_edge.create_model("b0", "classify", 10)
    groups = parameter_groups(model, 1.0, 0.5, 0.1)
    assert sorted({group["lr"] for group in groups}) == [0.0625, 0.125, 0.25, 0.5, 1.0]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert all(
        (group["weight_decay"] == 0) == (parameter.ndim == 1) for group in groups for parameter in group["params"]
    )


@pytest.mark.parametrize(
    ("share", "warmup", "rate"),
    [(0.0, 0.1, 0.01), (0.05, 0.1, 0.5), (0.1, 0.1, 1.0), (0.55, 0.1, 0.505), (1.0, 0.1, 0.01), (0.0, 0.0, 1.0)],
)
def test_the_rate(share, warmup, rate):
    assert rate_at(share, warmup) == pytest.approx(rate)


def test_the_rate_rises_then_falls():
    rates = [rate_at(step / 100, 0.1) for step in range(101)]
    assert all(a < b for a, b in pairwise(rates[1:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), (45, 45), (0.5, 0.5)]
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("text", "stages"), [("none", ()), ("head-only", (0, 1, 2, 3)), ("stages.0", (0,)), ("stages.0-2", (0, 1, 2))]
)
def test_freezes(text, stages):
    assert frozen_stages(text) == stages


@pytest.mark.parametrize(
    ("sizes", "imgsz"),
    [
        ([(640, 480)] * 3, (480, 640)),
        ([(4000, 3000)] * 3, (480, 640)),
        ([(3000, 4000)] * 3, (640, 480)),
        ([(4000, 3000), (3000, 4000)], (640, 640)),
        ([(100, 90)] * 3, (96, 96)),
        ([(20, 20)], (64, 64)),
    ],
)
def test_the_size_of_the_input_suits_the_pictures(sizes, imgsz):
    assert usual_size(sizes, 640) == imgsz


class Looked(Watcher):
    """Counts the pictures that were looked at."""

    count = 0

    def looked(self, done, total):
        self.count += 1


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"imgsz": 100}, ArgumentError, "imgsz 100,100 is no multiple of 32: such as 96,96"),
        ({"imgsz": (8, 640)}, ArgumentError, "such as 32,640"),
        ({"variant": "b9"}, UnknownNameError, "unknown variant 'b9': did you mean 'b5'"),
        ({"variant": "b9", "weights": "imagenet"}, UnknownNameError, "unknown variant 'b9'"),
        ({"weights": "no.safetensors"}, PvtEdgeError, "no.safetensors: no such file"),
        ({"head": "fpn"}, ArgumentError, "one head"),
        ({"device": "cuda:9"}, PvtEdgeError, "cannot train on 'cuda:9'"),
        ({"plan": "moves.json"}, ArgumentError, "plan goes with distil"),
    ],
)
def test_what_no_picture_could_mend_is_refused_before_they_are_looked_at(colours, tmp_path, options, error, told):
    watcher = Looked()
    with pytest.raises(error, match=told):
        pvt_edge.train(colours, task="classify", out=tmp_path / "run", watcher=watcher, **{**SMALL, **options})
    assert watcher.count == 0


def test_a_file_is_no_place_for_a_run(colours, tmp_path):
    place = tmp_path / "notes.txt"
    place.write_text("mine")
    with pytest.raises(PvtEdgeError, match=r"notes\.txt is a file, not a folder for a run"):
        pvt_edge.train(colours, task="classify", out=place, **SMALL)
    assert place.read_text() == "mine"


def test_one_is_said_as_one():
    options = TrainOptions(epochs=1, time="1m", workers=1)
    recipe = choose_recipe(options, get_training("classify"), train_count=8, val_count=2, imgsz=(32, 32), fresh=False)
    told = " ".join(recipe.lines())
    assert "1 minute or 1 epoch of batches" in told
    assert "judged every epoch, seed" in " ".join(replace(recipe, time=None).lines())
    assert "1 worker" in told and "1 workers" not in told
