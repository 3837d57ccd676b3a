"""`pvt-edge export --int8` with its options, run as users run it: each must be found in what was written."""

import json
import os
import signal
import subprocess

import cv2
import pytest

import pvt_edge
from pvt_edge.scenes import draw_scene, write_scenes

SMALL = ("--imgsz", "64", "--int8", "--calib-n", "5", "--allow-small", "--format", "openvino")
CLASSIFY = ("export", "--variant", "b0", "--weights", "none", "--task", "classify", "--num-classes", "3", *SMALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures in `calib`, labelled ones in `data/<label>`, scenes in `coco`, the labels of each in a file."""
    folder = tmp_path_factory.mktemp("int8")
    for label, seeds in {"calib": range(5), "data/ant": (5, 6), "data/bee": (7,), "data/cat": (8,)}.items():
        (folder / label).mkdir(parents=True)
        for seed in seeds:
            cv2.imwrite(str(folder / label / f"{seed}.png"), draw_scene(seed, 96, 128).image)
    (folder / "animals.txt").write_text("ant\nbee\ncat\n")
    (folder / "cells.txt").write_text("RBC\nWBC\nPlatelets\n")
    write_scenes(folder / "coco", 2, height=96, width=128)
    return folder


@pytest.fixture(scope="module")
def classified(pvt_edge_script, folder):
    """What an export of a classifier judged by labelled pictures says, and its bundle."""
    command = [pvt_edge_script, *CLASSIFY, "--calib", folder / "calib", "--labels", folder / "animals.txt"]
    command += ["--no-tune", "--max-drop", "0.875", "--metric", "top1", "--data", folder / "data"]
    command += ["--out", folder / "bundle", "--pixel-max", "4095"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done, folder / "bundle"


def search_of(bundle) -> dict:
    return json.loads((bundle / "report.json").read_text(encoding="utf-8"))["search"]


def test_options_of_the_search(classified, folder):
    done, bundle = classified
    record = search_of(bundle)
    assert (record["placement"], record["tuned"]) == ("recorded", False)
    assert (record["metric"]["name"], record["max_drop"]) == ("top1", 0.875)
    assert record["metric"]["data"] == f"4 labelled pictures of {folder / 'data'}"
    assert pvt_edge.read_bundle(bundle).manifest.calibration.count == 5
    assert record["verdict"] in done.stdout
    assert pvt_edge.read_bundle(bundle).manifest.input.pixel_max == 4095
    assert "report: bundle/report.md" in done.stdout
    assert f"INT8 ranges from 5 pictures of {folder / 'calib'}, seed 0" in done.stdout


def test_plan(pvt_edge_command, classified, folder, tmp_path):
    out = tmp_path / "again"
    done = pvt_edge_command(
        *(*CLASSIFY, "--calib", str(folder / "calib"), "--plan", str(classified[1]), "--no-tune"),
        *("--metric", "agreement", "--max-drop", "1", "--out", str(out)),
    )
    assert done.returncode == 0, done.stderr
    assert (search_of(out)["placement"], search_of(out)["metric"]["name"]) == ("given", "agreement")
    found, given = (pvt_edge.read_bundle(bundle).manifest.precision_plan for bundle in (out, classified[1]))
    assert found == given


def test_data_and_images(pvt_edge_command, folder, tmp_path):
    coco = folder / "coco" / "instances.json"
    done = pvt_edge_command(
        *("export", "--variant", "b0", "--weights", "none", "--task", "detect", "--head", "lite", "--num-classes", "3"),
        *(*SMALL, "--calib", str(folder / "calib"), "--no-tune", "--labels", str(folder / "cells.txt")),
        *("--data", str(coco), "--images", str(folder / "coco" / "images"), "--out", str(tmp_path / "o")),
    )
    assert done.returncode == 0, done.stderr
    metric = search_of(tmp_path / "o")["metric"]
    assert (metric["name"], metric["data"]) == ("map", f"2 labelled pictures of {coco}")


def test_int8_beyond_the_budget_is_told(pvt_edge_command, folder, tmp_path):
    command = ("export", "--variant", "b0", "--weights", "none", "--task", "features", *SMALL, "--no-tune")
    command += ("--calib", str(folder / "calib"), "--max-drop", "0", "--out", str(tmp_path / "o"))
    done = pvt_edge_command(*command, "--json", str(tmp_path / "o.json"))
    assert done.returncode == 0, done.stderr
    asked = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))["asked"]
    assert asked["openvino-fp32"] == {"written": True, "file": "openvino/fp32.xml", "reason": None}
    assert (asked["openvino-int8"]["written"], asked["openvino-int8"]["file"]) == (False, None)
    assert "cosine with fp32 may fall by 0.0" in asked["openvino-int8"]["reason"]
    required = pvt_edge_command(*command[:-1], str(tmp_path / "p"), "--require-int8")
    assert required.returncode == 1
    assert "INT8 is required and not there for openvino" in required.stderr
    assert not (tmp_path / "p").exists()
    assert "int8 not written: cosine with fp32 may fall by 0.0" in done.stdout
    assert [a.precision for a in pvt_edge.read_bundle(tmp_path / "o").manifest.artifacts] == ["fp32"]


def test_ctrl_c_during_the_search(pvt_edge_script, classified, folder):
    bundle = classified[1]
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    child = subprocess.Popen(
        [pvt_edge_script, *CLASSIFY, "--tune", "full", "--calib", folder / "calib", "--out", bundle],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs inherit "ignore"
    )  # fmt: skip
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("block 4 of "):
            child.send_signal(signal.SIGINT)
            break
    _, errors = child.communicate()
    kept = bundle.with_name("bundle.search.json")
    assert child.returncode == 130, errors
    assert errors == f"stopped during the search; {bundle} is as it was, what was measured is in {kept}\n"
    record = json.loads(kept.read_text(encoding="utf-8"))
    assert record["interrupted"]
    assert len(record["sensitivities"]) >= 3
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
