"""docs/own-data.md as its readers go through it, with small data: pictures, train, export, val, predict."""

import json
import os
import re
import subprocess

import cv2
import numpy as np
import pytest

for package in ("torch", "onnx", "onnxruntime", "matplotlib"):
    pytest.importorskip(package, reason=f"training and export need {package}")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with ten labelled pictures of two things, as a phone takes them, and a short clip's worth more."""
    folder, rng = tmp_path_factory.mktemp("desk"), np.random.default_rng(1)
    for part, count in (("train", 8), ("val", 2)):
        for name, colour in (("apple", (40, 40, 220)), ("pear", (40, 200, 60))):
            place = folder / "pictures" / part / name
            place.mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(90, 130, (48, 64, 3)).astype(np.uint8)
                cv2.circle(picture, (int(rng.integers(20, 44)), 24), 16, colour, -1)
                cv2.imwrite(str(place / f"{i}.jpg"), picture)
    return folder


@pytest.fixture(scope="module")
def pvt_edge(pvt_edge_script, desk):
    """Runs the command in that folder."""

    def run(*words: str) -> str:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TERM": "dumb"}
        done = subprocess.run(
            [pvt_edge_script, *words], capture_output=True, text=True, cwd=desk, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_from_pictures_to_a_camera(pvt_edge, desk):
    told = pvt_edge(
        *("train", "pictures/", "--task", "classify", "--weights", "cells", "--imgsz", "32", "--epochs", "6"),
        *("--batch", "4", "--lr", "0.002", "--workers", "0", "--json", "run.json"),
    )
    report = json.loads((desk / "run.json").read_text())
    assert report["figures"]["balanced"] == 1.0
    assert "3,410,274 of 3,410,274 parameters train" in told
    assert "epoch 6: loss" in told and "(best so far)" in told
    (next_command,) = re.findall(r"next: pvt-edge (.*)", told)
    assert next_command.startswith("export --weights runs/classify-b0/best.safetensors --int8")

    pvt_edge(
        *("export", "--weights", "runs/classify-b0/best.safetensors", "--format", "onnx", "--out", "out/mine"),
    )
    manifest = json.loads((desk / "out/mine/model.json").read_text())
    assert manifest["labels"] == ["apple", "pear"]
    assert (manifest["input"]["height"], manifest["resize"]["mode"]) == (32, "stretch")
    told = pvt_edge("val", "out/mine", "--data", "pictures", "--json", "val.json")
    (row,) = json.loads((desk / "val.json").read_text())["rows"]
    assert row["figures"] == {name: pytest.approx(report["figures"][name]) for name in ("top1", "top5", "balanced")}
    pvt_edge("predict", "out/mine", "pictures/val/pear", "--json", "found.jsonl")
    assert all("pear" in line for line in (desk / "found.jsonl").read_text().splitlines())
