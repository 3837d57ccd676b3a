"""Whole runs on small data: what they leave, that they go on as if they had not stopped, and what stops them."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
for package in ("matplotlib", "pycocotools", "safetensors"):
    pytest.importorskip(package, reason=f"training needs {package}")

import pvt_edge  # noqa: E402
from pvt_edge.checkpoints.opening import summarise_checkpoint  # noqa: E402
from pvt_edge.errors import ArgumentError, DataError, TrainingError, UnknownNameError  # noqa: E402
from pvt_edge.training.judging import Judging  # noqa: E402
from pvt_edge.training.loop import Trainer  # noqa: E402
from pvt_edge.training.run import Watcher  # noqa: E402
from pvt_edge.training.state import learnt_pictures  # noqa: E402
from pvt_edge.training.task import get_training  # noqa: E402

from .runs import rows_of, same, stop_after, weights_of  # noqa: E402

COLOURS = {"blue": (220, 60, 40), "red": (40, 60, 220)}
SMALL = {"variant": "b0", "weights": "cells", "imgsz": (32, 32), "workers": 0}
BOXES = {**SMALL, "task": "detect", "imgsz": (64, 96)}


@pytest.fixture(scope="module")
def trained(colours, tmp_path_factory):
    """A classifier trained for four epochs."""
    out = tmp_path_factory.mktemp("runs") / "colours"
    return pvt_edge.train(colours, task="classify", out=out, epochs=4, lr=2e-3, patience=9, **SMALL)


def test_a_classifier_learns_and_says_how(trained, colours):
    assert trained.figures["balanced"] == 1.0
    assert (trained.epochs, trained.stopped) == (4, "")
    files = {path.name for path in trained.folder.iterdir()}
    shown = {"curves.png", "samples.jpg", "confusion.png", "data.md"}
    assert shown | {"best.safetensors", "last.safetensors", "last.state.pt", "results.csv", "run.json"} <= files
    for name in shown - {"data.md"}:
        assert cv2.imread(str(trained.folder / name)) is not None
    rows = rows_of(trained.folder)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[-1]["class_loss"]) < float(rows[0]["class_loss"])
    assert {"balanced", "images_per_s", "waiting", "memory_mb", "cpu_seconds"} <= rows[0].keys()
    split = json.loads((trained.folder / "split.json").read_text())
    assert (len(split["train"]), len(split["val"])) == (10, 2)
    assert split["classes"] == ["blue", "red"]


def test_the_weights_know_what_an_export_needs(trained, tmp_path):
    summary = summarise_checkpoint(trained.best)
    assert (summary.variant, summary.task, summary.labels) == ("b0", "classify", ("blue", "red"))
    model = pvt_edge.create_model(None, "classify", weights=trained.best)
    said = model.sidecar.preprocessing
    assert (said.imgsz, said.resize) == ((32, 32), "stretch")
    pytest.importorskip("onnx", reason="onnx is not installed")
    bundle = pvt_edge.export_model(model, tmp_path / "bundle", formats=("onnx",), precisions=("fp32",))
    manifest = bundle.manifest
    assert (manifest.labels, manifest.input.height, manifest.resize.mode) == (("blue", "red"), 32, "stretch")
    with pvt_edge.load(tmp_path / "bundle") as predictor:
        assert predictor(np.full((40, 48, 3), COLOURS["red"], np.uint8)).probs.top1 == 1


def test_a_detector_and_a_run_that_goes_on(tmp_path):
    """Stopped after any epoch and gone on with, a run leaves the weights of an unbroken one."""
    whole = pvt_edge.train("scenes:8", out=tmp_path / "whole", epochs=3, batch=4, **BOXES)
    assert set(whole.figures) >= {"AP", "AP50"}
    (tmp_path / "broken").mkdir()
    with pytest.raises(KeyboardInterrupt), stop_after(2):
        pvt_edge.train("scenes:8", out=tmp_path / "broken", epochs=3, batch=4, amp="auto", **BOXES)
    again = pvt_edge.train(resume=tmp_path / "broken", amp="auto")  # said again as it was said, and settled as fp32
    assert again.epochs == 3
    assert same(whole.last, again.last)
    assert same(whole.best, again.best)
    assert [row["step"] for row in rows_of(whole.folder)] == [row["step"] for row in rows_of(again.folder)]
    labels = summarise_checkpoint(again.best)
    assert (labels.task, labels.head, labels.labels) == ("detect", "lite", ("RBC", "WBC", "Platelets"))
    assert pvt_edge.create_model(None, "detect", weights=again.best).thresholds == {"iou": 0.6}
    with pytest.raises(DataError, match=r"cannot go on .* with imgsz"):
        pvt_edge.train(resume=again.folder, imgsz=(32, 32))
    with pytest.raises(DataError, match=r"cannot go on .*the data now has"):
        pvt_edge.train("scenes:5", resume=again.folder, epochs=4)


def test_kill_9_leaves_a_run_that_goes_on(colours, tmp_path):
    """In a process of its own, killed while it and its worker train; the unbroken run is the same."""
    options = {**SMALL, "epochs": 6, "batch": 2, "task": "classify", "workers": 1}
    whole = pvt_edge.train(colours, out=tmp_path / "whole", **options)
    call = f"pvt_edge.train({str(colours)!r}, out='killed', **{options!r})"
    code = f"import torch, pvt_edge; torch.set_num_threads(1); {call}"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    deadline = time.monotonic() + 200
    while not (tmp_path / "killed" / "results.csv").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    again = pvt_edge.train(resume=tmp_path / "killed")
    assert again.epochs == 6
    assert same(whole.last, again.last)


def test_ctrl_c_keeps_the_best(colours, tmp_path, monkeypatch):
    steps = Trainer._steps

    def interrupted(self):
        if self.progress.epoch == 1:
            raise KeyboardInterrupt
        return steps(self)

    monkeypatch.setattr(Trainer, "_steps", interrupted)
    run = pvt_edge.train(colours, task="classify", out=tmp_path / "run", epochs=5, **SMALL)
    assert (run.stopped, run.epochs) == ("Ctrl-C", 1)
    assert run.best.is_file() and run.figures


def test_a_loss_that_is_no_number_stops_and_keeps_the_best(colours, tmp_path, monkeypatch):
    kind = type(get_training("classify"))
    loss, calls = kind.loss, []

    def broken(self, *arguments):
        calls.append(1)
        parts = loss(self, *arguments)
        return {name: part * math.nan for name, part in parts.items()} if len(calls) > 7 else parts

    monkeypatch.setattr(kind, "loss", broken)
    with pytest.raises(
        TrainingError, match=r"class loss is no number at epoch 2, step 8 \(.*png.*of epoch 1, are kept"
    ):
        pvt_edge.train(colours, task="classify", out=tmp_path / "run", epochs=5, batch=2, **SMALL)
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_a_full_disk_keeps_the_former_checkpoint(colours, tmp_path, mount_disk):
    disk = mount_disk("110m")  # a run takes about 100 MB, and for a while one checkpoint more
    with pytest.raises(TrainingError, match=r"(?i)no space.*is whole: make room and go on with --resume"):
        pvt_edge.train(colours, task="classify", out=disk / "run", epochs=3, **SMALL)
    before = {path.name for path in (disk / "run").iterdir()}
    assert not any(name.endswith(".partial") for name in before)
    for path in (disk / "run").glob("*.safetensors"):
        assert weights_of(path)


def test_time_ends_a_run_in_time(colours, tmp_path):
    run = pvt_edge.train(colours, task="classify", out=tmp_path / "run", time="4s", **SMALL)
    assert run.stopped == "the time is over"
    assert 1 <= run.epochs < 1000
    assert float(rows_of(run.folder)[-1]["seconds"]) < 60  # not the 30 epochs or more of a run without
    again = pvt_edge.train(resume=run.folder)
    assert (again.epochs, again.stopped) == (run.epochs, run.stopped)


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_memory_stays_level(tmp_path, task):
    """What a step leaves behind, its graph say, would add megabytes an epoch."""
    options = {"variant": "b0", "weights": "none", "imgsz": (64, 96), "workers": 0, "task": task}
    run = pvt_edge.train("scenes:6", out=tmp_path / "run", epochs=10, batch=2, cache=False, **options)
    taken = [float(row["memory_mb"]) for row in rows_of(run.folder)]
    assert max(taken[-3:]) < max(taken[:4]) + 30
    assert all(0 <= float(row["waiting"]) <= 1 for row in rows_of(run.folder))


def test_patience(colours, tmp_path):
    run = pvt_edge.train(colours, task="classify", out=tmp_path / "run", epochs=50, lr=0.0, patience=2, **SMALL)
    assert run.epochs == 3
    assert run.stopped == "no better for 2 validations"


def test_extra_pictures_are_learnt_from_alone(colours, tmp_path):
    run = pvt_edge.train(
        colours, task="classify", out=tmp_path / "run", epochs=1, extra=str(colours), extra_share=0.5, **SMALL
    )
    assert run.epochs == 1
    with pytest.raises(DataError, match="classes that there is nothing to learn from: RBC"):
        pvt_edge.train(make_boxes(tmp_path / "one"), out=tmp_path / "b", epochs=1, extra="scenes:2", **BOXES)


def make_boxes(folder):
    """Two pictures with a box of a class each."""
    folder.mkdir()
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "apple"}]}
    for i in range(2):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((64, 96, 3), 60 + 40 * i, np.uint8))
        content["images"].append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 64})
        content["annotations"].append({"id": i, "image_id": i, "category_id": 1, "bbox": [8, 8, 40, 40]})
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{}", "run.json lacks places, options, recipe"),
        ("[]", "run.json lacks places"),
        ('{"places": ', "run.json is damaged"),
        (None, "run.json: No such file"),
    ],
)
def test_what_is_no_run_does_not_go_on(tmp_path, content, told):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=f"is no folder of a run that could go on: {told}"):
        pvt_edge.train(resume=tmp_path)


def test_other_pictures_do_not_go_on(trained, colours, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / "run")
    moved = shutil.copytree(colours, tmp_path / "moved")
    (moved / "red" / "3.png").rename(moved / "red" / "30.png")
    with pytest.raises(DataError, match=r"the data now has pictures that run does not, such as 30.png"):
        pvt_edge.train(moved, resume=run, epochs=5)
    (moved / "red" / "30.png").rename(moved / "red" / "3.png")
    assert pvt_edge.train(moved, resume=run, epochs=4).epochs == 4  # the same ones in another place


def test_an_export_takes_its_ranges_from_what_was_learnt_from(trained, tmp_path):
    split = json.loads((trained.folder / "split.json").read_text())
    assert learnt_pictures(trained.best) == split["train"]
    assert all(os.path.isabs(path) for path in split["train"])
    assert learnt_pictures(tmp_path / "best.safetensors") == []


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"task": "clasify"}, UnknownNameError, "did you mean 'classify'"),
        ({}, ArgumentError, "needs a task"),
        ({"task": "classify", "frezze": "none"}, ArgumentError, "did you mean 'freeze'"),
        ({"task": "classify", "freeze": "stages.3-1"}, ArgumentError, "head-only, none or stages"),
        ({"task": "classify", "freeze": "head-only", "weights": "none"}, ArgumentError, "random weights"),
        ({"task": "classify", "freeze": 3}, ArgumentError, "head-only, none or stages"),
        ({"task": "classify", "epochs": 0}, ArgumentError, "epochs must be"),
        ({"task": "classify", "lr": "0.1"}, ArgumentError, "lr must be a number, not '0.1'"),
        ({"task": "classify", "time": "soon"}, ArgumentError, "write 30m"),
        ({"task": "classify", "imgsz": (30, 32)}, ArgumentError, "no multiple of 32"),
        ({"task": "classify", "imgsz": 30}, ArgumentError, "no multiple of 32"),
        ({"task": "classify", "imgsz": "32"}, ArgumentError, "imgsz must be"),
        ({"task": "classify", "device": "cuda:9"}, Exception, "cannot train on 'cuda:9'"),
        ({"task": "classify", "head": "lite"}, ArgumentError, "one head"),
        ({"task": "detect"}, DataError, "no boxes in"),
        ({"task": "classify", "images": "nowhere"}, DataError, "nowhere is no folder of pictures"),
        ({"task": "classify", "val": "nowhere"}, DataError, "nowhere is not there"),
    ],
)
def test_what_is_refused(colours, tmp_path, options, error, told):
    with pytest.raises(error, match=told):
        pvt_edge.train(colours, out=tmp_path / "run", **{"weights": "cells", "workers": 0, **options})
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_is_not_written_to(trained, colours):
    before = (trained.folder / "run.json").read_bytes()
    with pytest.raises(DataError, match="is not empty: go on with --resume"):
        pvt_edge.train(colours, task="classify", out=trained.folder, epochs=1, **SMALL)
    assert (trained.folder / "run.json").read_bytes() == before


def test_a_place_that_cannot_be_written(colours):
    with pytest.raises(DataError, match="choose another place with --out"):
        pvt_edge.train(colours, task="classify", out="/proc/nowhere/run", **SMALL)


def test_one_class_is_no_classification(colours, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "blue").symlink_to(colours / "blue")
    with pytest.raises(ArgumentError, match="needs two classes"):
        pvt_edge.train(tmp_path / "data", task="classify", out=tmp_path / "run", **SMALL)


def test_patience_that_ends_with_the_last_epoch_stops_nothing(colours, tmp_path):
    run = pvt_edge.train(colours, task="classify", out=tmp_path / "run", epochs=3, lr=0.0, patience=2, **SMALL)
    assert (run.epochs, run.stopped) == (3, "")


def test_a_run_stopped_in_its_first_epoch_begins_anew(colours, tmp_path):
    class Stopping(Watcher):
        def updated(self, update):
            raise KeyboardInterrupt

    options = {**SMALL, "task": "classify", "epochs": 1}
    stopped = pvt_edge.train(colours, out=tmp_path / "stopped", watcher=Stopping(), **options)
    assert (stopped.epochs, stopped.stopped, stopped.last.exists()) == (0, "Ctrl-C", False)
    whole = pvt_edge.train(colours, out=tmp_path / "whole", **options)
    assert same(pvt_edge.train(resume=stopped.folder).last, whole.last)
    whole.folder.joinpath("last.state.pt").unlink()
    with pytest.raises(DataError, match=r"has no last.state.pt, .*--weights .*last.safetensors"):
        pvt_edge.train(resume=whole.folder, epochs=2)


def test_an_epoch_that_was_being_judged_is_not_done(colours, tmp_path, monkeypatch):
    def interrupted(self, model):
        raise KeyboardInterrupt

    monkeypatch.setattr(Judging, "__call__", interrupted)
    run = pvt_edge.train(colours, task="classify", out=tmp_path / "run", epochs=1, **SMALL)
    assert (run.stopped, run.epochs, run.figures) == ("Ctrl-C", 0, {})


def test_a_run_goes_on_from_another_folder_by_paths_that_were_relative(trained, colours, tmp_path, monkeypatch):
    shutil.copytree(colours, tmp_path / "more")
    shutil.copyfile(trained.best, tmp_path / "first.safetensors")
    monkeypatch.chdir(tmp_path)
    options = {**SMALL, "task": "classify", "weights": Path("first.safetensors"), "extra": "more"}
    run = pvt_edge.train(colours, out="run", epochs=1, **options)
    assert pvt_edge.train(resume="run", epochs=2, extra="more").epochs == 2  # said again as it was said
    monkeypatch.chdir("/")
    assert pvt_edge.train(resume=tmp_path / run.folder, epochs=3).epochs == 3


def test_options_of_a_newer_version(trained, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / "run")
    content = json.loads((run / "run.json").read_text())
    content["options"]["lookahead"] = 3
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"does not know \(lookahead\): upgrade"):
        pvt_edge.train(resume=run, epochs=5)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_goes_during_the_run_is_told_in_a_line(colours, tmp_path, workers):
    data = shutil.copytree(colours, tmp_path / "data")

    class Losing(Watcher):
        def updated(self, update):
            for path in json.loads((tmp_path / "run" / "split.json").read_text())["train"]:
                Path(path).unlink(missing_ok=True)

    options = {**SMALL, "task": "classify", "cache": False, "workers": workers}
    with pytest.raises(DataError) as caught:
        pvt_edge.train(data, out=tmp_path / "run", epochs=9, watcher=Losing(), **options)
    assert re.fullmatch(r"cannot read .*\.png: No such file or directory", str(caught.value))


def test_what_cannot_be_drawn_costs_no_run(colours, tmp_path):
    told = []

    class Hindering(Watcher):
        def updated(self, update):
            (tmp_path / "run" / "samples.jpg").mkdir(exist_ok=True)

        def say(self, line):
            told.append(line)

    run = pvt_edge.train(colours, task="classify", out=tmp_path / "run", epochs=1, watcher=Hindering(), **SMALL)
    assert (run.epochs, run.stopped) == (1, "")
    assert "samples.jpg" in told[-1]
