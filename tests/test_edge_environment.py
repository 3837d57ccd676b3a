"""A device with only pvt-edge[opencv], or OpenVINO beside it, runs a bundle, and torch is nowhere."""

import json
import os
import subprocess
import venv

import cv2
import pytest

from pvt_edge.scenes import draw_scene


def install(python, wheel, extras, constraints):
    """Install the wheel with extras; skips where that cannot be done from here."""
    command = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, f"{wheel}[{extras}]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode and "CI" not in os.environ:  # offline, for one
        pytest.skip(f"the packages cannot be installed from here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def edge(checkout, cells_bundle, tmp_path_factory):
    """The interpreter of a fresh environment with the wheel, and what it predicted when it had OpenCV alone."""
    wheels = sorted((checkout / "dist").glob("pvt_edge-*.whl"))
    if not wheels:
        pytest.skip("no wheel in dist/: run make wheel")
    folder = tmp_path_factory.mktemp("edge")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install(python, wheels[-1], "opencv", checkout / "constraints.txt")
    alone = predict(python, cells_bundle, folder)
    install(python, wheels[-1], "openvino,opencv", checkout / "constraints.txt")
    return python, alone


@pytest.fixture(scope="module")
def edge_python(edge):
    return edge[0]


def predict(python, bundle, folder):
    """The command on a drawn scene."""
    cv2.imwrite(str(folder / "scene.png"), draw_scene(11).image)
    script = python.with_name("pvt-edge")
    return subprocess.run(
        [script, "predict", bundle, folder / "scene.png", "--json", "-"],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip


def test_opencv_alone_runs_a_bundle(edge):
    done = edge[1]
    assert done.returncode == 0, done.stderr
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(row["predictions"]) >= 5
    assert "opencv fp32" in done.stderr


def test_predict_without_torch(edge_python, cells_bundle, tmp_path):
    done = predict(edge_python, cells_bundle, tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(row["predictions"]) >= 5
    assert "openvino int8" in done.stderr
    absent = "import importlib.util as u; print([n for n in ('torch', 'onnx', 'nncf') if u.find_spec(n)])"
    done = subprocess.run([edge_python, "-c", absent], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_export_says_what_is_missing(edge_python, tmp_path):
    done = subprocess.run(
        [edge_python.with_name("pvt-edge"), "export", "--variant", "b0", "--out", tmp_path / "o"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert 'pip install "pvt-edge[export]"' in done.stderr
