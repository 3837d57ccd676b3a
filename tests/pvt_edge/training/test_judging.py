"""The pictures that a run draws of itself."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
for package in ("matplotlib", "safetensors"):
    pytest.importorskip(package, reason=f"training needs {package}")

import pvt_edge  # noqa: E402
from pvt_edge.data.classed_pictures import ClassSample  # noqa: E402
from pvt_edge.training import judging  # noqa: E402
from pvt_edge.training.task import get_training  # noqa: E402

COLOURS = {"blue": (220, 60, 40), "green": (60, 200, 60), "red": (40, 60, 220)}  # BGR


@pytest.mark.parametrize("count", [1, 5, 7])
def test_the_samples_show_every_class_though_they_lie_by_class(tmp_path, count):
    for part in ("train", "val"):
        for name, colour in COLOURS.items():
            folder = tmp_path / "data" / part / name
            folder.mkdir(parents=True)
            for number in range(count if part == "val" else 2):
                noise = np.random.default_rng(number + 10 * (part == "val")).integers(-30, 30, (64, 64, 3))
                cv2.imwrite(str(folder / f"{number}.png"), np.clip(noise + colour, 0, 255).astype(np.uint8))
    small = {"weights": "cells", "imgsz": 32, "workers": 0, "epochs": 1}
    run = pvt_edge.train(tmp_path / "data", task="classify", out=tmp_path / "run", **small)
    sheet = cv2.imread(str(run.folder / "samples.jpg"))
    assert sheet.shape[0] == min(judging.SAMPLES, 3 * count) * judging.SIDE
    corners = sheet[judging.SIDE - 20 :: judging.SIDE, judging.SIDE - 20].astype(float)  # (rows, 3), clear of words
    for colour in COLOURS.values():
        assert np.abs(corners - colour).max(axis=1).min() < 50


def test_the_class_can_be_read_on_a_picture_of_a_few_pixels(tmp_path):
    """As on a large one of the same content: a plot at its own size has no room for a name."""
    task, names = get_training("classify"), ("Platelets", "RBC")
    sheets = []
    for side in (12, 360):
        path = tmp_path / f"{side}.png"
        cv2.imwrite(str(path), np.full((side, side, 3), 90, np.uint8))
        sample = ClassSample(path, 0)
        judging.draw_samples(task, [sample], [task.fields(sample, 2)], names, tmp_path / "samples.jpg")
        sheets.append(cv2.imread(str(tmp_path / "samples.jpg")).astype(int))
    assert np.abs(sheets[0] - sheets[1]).max() < 8


def test_epochs_are_whole_on_the_axis():
    history = [{"epoch": epoch, "class_loss": 1.0 / epoch, "top1": 0.5} for epoch in (1, 2, 3)]
    for axes in judging.draw_curves(history, 2, "top1").axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks == [1, 2, 3]
