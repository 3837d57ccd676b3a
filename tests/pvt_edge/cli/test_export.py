"""`pvt-edge export` of the bundled weights and of files, run as users run it."""

import json
import os
import signal
import subprocess

import pytest

import pvt_edge


def test_cells_bundle(cells_bundle):
    manifest = pvt_edge.read_bundle(cells_bundle).manifest
    assert (manifest.variant, manifest.task, manifest.labels) == ("b0", "detect", ("RBC", "WBC", "Platelets"))
    assert (manifest.input.height, manifest.input.width) == (480, 640)
    files = ["model.fp32.onnx", "model.int8.onnx", "openvino/fp32.xml", "openvino/int8.xml"]
    assert [a.file for a in manifest.artifacts] == files
    assert manifest.auto_precision["openvino"] == "int8"
    assert {"int8", "float"} == set(manifest.precision_plan.values())
    assert "int8 kept" in (cells_bundle / "report.md").read_text(encoding="utf-8")
    assert manifest.calibration.count >= 32
    assert manifest.calibration.source == "generated scenes"
    assert manifest.provenance.weights == "cells"
    assert manifest.provenance.command.startswith("pvt-edge export --variant b0 --int8")


def test_cells_accuracy_is_in_the_bundle(cells_bundle):
    metrics = pvt_edge.read_bundle(cells_bundle).manifest.accuracy.metrics
    assert set(metrics) == {"onnxruntime-fp32", "openvino-fp32", "openvino-int8", "onnxruntime-int8"}
    assert metrics["openvino-fp32"]["AP"] > 0.5
    assert metrics["openvino-fp32"]["AP"] == pytest.approx(metrics["onnxruntime-fp32"]["AP"], abs=2e-3)
    for runtime in ("openvino", "onnxruntime"):
        assert metrics[f"{runtime}-int8"]["AP"] == pytest.approx(metrics["openvino-fp32"]["AP"], abs=0.02)


def test_export_of_a_file(pvt_edge_command, tmp_path):
    model = pvt_edge.create_model("b0", "classify", 5)
    pvt_edge.save_weights(model, tmp_path / "five.safetensors")
    (tmp_path / "five.txt").write_text("ant\nbee\ncat\ndog\neel\n")
    out = tmp_path / "bundle"
    done = pvt_edge_command(
        *("export", "--weights", str(tmp_path / "five.safetensors"), "--imgsz", "64,96"),
        *("--labels", str(tmp_path / "five.txt"), "--format", "onnx", "--out", str(out), "--json", "-"),
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["bundle"] == str(out)
    manifest = pvt_edge.read_bundle(out).manifest
    assert manifest.task == "classify"
    assert manifest.labels == ("ant", "bee", "cat", "dog", "eel")
    assert manifest.provenance.dialect == "native"
    assert str(out) in done.stderr
    assert "pvt-edge predict" in done.stderr


def test_labels_of_the_wrong_number(pvt_edge_command, tmp_path):
    (tmp_path / "two.txt").write_text("RBC\nWBC\n")
    done = pvt_edge_command(
        "export", "--variant", "b0", "--labels", str(tmp_path / "two.txt"), "--out", str(tmp_path / "o")
    )
    assert done.returncode == 1
    assert "2 labels for a model of 3 classes" in done.stderr
    assert not (tmp_path / "o").exists()


def test_random_weights_say_so(pvt_edge_command, tmp_path):
    done = pvt_edge_command(
        *("export", "--variant", "b0", "--weights", "none", "--task", "features", "--imgsz", "64"),
        *("--format", "onnx", "--out", str(tmp_path / "o[v2]")),
    )
    assert done.returncode == 0, done.stderr
    assert "RANDOM WEIGHTS" in done.stdout
    assert f"wrote {tmp_path / 'o[v2]'} in" in done.stdout  # no markup
    assert f"predict '{tmp_path / 'o[v2]'}' your-images/" in done.stdout


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_a_stopped_export_keeps_the_old_bundle(pvt_edge_script, tmp_path, sent):
    out = tmp_path / "bundle"
    arguments = ["export", "--variant", "b0", "--weights", "none", "--task", "features", "--imgsz", "64", "--out", out]
    subprocess.run([pvt_edge_script, *arguments], check=True, capture_output=True)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    child = subprocess.Popen(
        [pvt_edge_script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs inherit "ignore"
    )  # fmt: skip
    assert child.stdout is not None
    for line in child.stdout:
        if "converting to OpenVINO" in line:
            child.send_signal(sent)
            break
    _, errors = child.communicate()
    assert child.returncode == (130 if sent == signal.SIGINT else -9), errors
    assert "Traceback" not in errors
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    again = subprocess.run([pvt_edge_script, *arguments], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] in ([], [".bundle.lock"])


def test_a_full_disk_keeps_the_old_bundle(pvt_edge_command, mount_disk):
    disk = mount_disk("34m")  # room for two ONNX files of 14 MB, but not for the IR as well
    arguments = ("export", "--variant", "b0", "--weights", "none", "--task", "features", "--imgsz", "64")
    done = pvt_edge_command(*arguments, "--out", str(disk / "b0"), "--format", "onnx")
    assert done.returncode == 0, done.stderr
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    done = pvt_edge_command(*arguments, "--out", str(disk / "b0"), "--format", "onnx,openvino")
    assert done.returncode == 1
    assert "disk" in done.stderr
    assert "unexpected" not in done.stderr
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before
