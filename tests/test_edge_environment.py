"""A device with only pvt-edge[opencv], or OpenVINO beside it, runs a bundle, and torch is nowhere."""

import json
import os
import subprocess
import venv

import cv2
import pytest

from pvt_edge.scenes import draw_scene, write_scenes


def install(python, wheel, extras, constraints):
    """Install the wheel with extras; skips where that cannot be done from here."""
    command = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, f"{wheel}{extras}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode and "CI" not in os.environ:  # offline, for one
        pytest.skip(f"the packages cannot be installed from here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def bare(checkout, tmp_path_factory):
    """The interpreter of a fresh environment, the wheel that is in it, and what doctor said when it had no more."""
    wheels = sorted((checkout / "dist").glob("pvt_edge-*.whl"))
    if not wheels:
        pytest.skip("no wheel in dist/: run make wheel")
    folder = tmp_path_factory.mktemp("edge")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install(python, wheels[-1], "", checkout / "constraints.txt")
    return python, wheels[-1], examine(python)


@pytest.fixture(scope="module")
def edge(bare, checkout, cells_bundle, tmp_path_factory):
    """The interpreter of that environment, and what it predicted when it had OpenCV alone."""
    python, wheel, _ = bare
    install(python, wheel, "[opencv]", checkout / "constraints.txt")
    alone = predict(python, cells_bundle, tmp_path_factory.mktemp("alone"))
    install(python, wheel, "[openvino,opencv]", checkout / "constraints.txt")
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


def examine(python):
    """(exit code, JSON) of `pvt-edge doctor`."""
    doctor = [python.with_name("pvt-edge"), "doctor", "--json", "-"]
    done = subprocess.run(doctor, capture_output=True, text=True, cwd=python.parent, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_doctor_needs_only_the_core(bare):
    code, content = bare[2]
    assert (code, content["can_run"]) == (1, False)
    assert [row["name"] for row in content["runtimes"] if row["ready"] or "install" not in row["reason"]] == []
    assert "opencv-absent" in [advice["id"] for advice in content["advice"]]
    assert content["extras"]["openvino"] == {"complete": False, "missing": ["openvino"]}


def test_doctor_of_the_edge(edge_python):
    code, content = examine(edge_python)
    ready = [row["name"] for row in content["runtimes"] if row["ready"]]
    assert code == 0
    assert "openvino" in ready
    assert "torch" not in ready
    assert "FFMPEG" in content["opencv"]["backends"]


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


def test_verify_without_torch(edge_python, cells_bundle, tmp_path):
    write_scenes(tmp_path / "scenes", 6)  # of one alone a box at the threshold is too much
    images, script = tmp_path / "scenes" / "images", edge_python.with_name("pvt-edge")
    done = subprocess.run(
        [script, "verify", cells_bundle, "--images", images, "--out", tmp_path / "v", "--json", "-"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["reference"]["artifact"] == "openvino fp32"
    assert "openvino int8" in [row["artifact"] for row in report["artifacts"]]
    skipped = [row["artifact"] for row in report["skipped"] if row["artifact"] != "openvino bf16"]
    assert skipped == ["onnxruntime fp32", "onnxruntime int8"]
    assert (tmp_path / "v" / "contact_sheet.jpg").is_file()


def test_export_says_what_is_missing(edge_python, tmp_path):
    done = subprocess.run(
        [edge_python.with_name("pvt-edge"), "export", "--variant", "b0", "--out", tmp_path / "o"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert 'pip install "pvt-edge[export]"' in done.stderr
