"""`pvt-edge train`, run as users run it."""

import json

import pytest

for package in ("torch", "onnx", "pycocotools"):
    pytest.importorskip(package, reason=f"training needs {package}")


@pytest.mark.timeout(300)
def test_a_report_on_stdout_and_an_export(pvt_edge_command, tmp_path):
    done = pvt_edge_command(
        *("train", "scenes:8", "--task", "detect", "--weights", "none", "--imgsz", "64", "--epochs", "1"),
        *("--workers", "0", "--out", str(tmp_path / "run"), "--export", "--json", "-"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)  # nothing but JSON
    assert report["best"] == str(tmp_path / "run" / "best.safetensors")
    assert (tmp_path / "run" / "bundle" / "model.json").is_file()
    assert f"wrote {tmp_path / 'run' / 'bundle'} in" in done.stderr
