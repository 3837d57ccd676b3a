"""`pvt-edge doctor` run as users run it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from typer.testing import CliRunner

from pvt_edge.cli.app import app
from pvt_edge.runtimes import RUNTIMES, missing

KEYS = {"schema_version", "can_run", "runtimes", "advice", "system", "cpu", "gpus", "nvidia_driver", "jetson", "opencv",
        "extras", "packages"}  # fmt: skip


@pytest.fixture(scope="module")
def examined(pvt_edge_script, tmp_path_factory):
    """(what is printed, the JSON, the exit code)."""
    path = tmp_path_factory.mktemp("doctor") / "doctor.json"
    done = subprocess.run([pvt_edge_script, "doctor", "--json", path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout, json.loads(path.read_text()), done.returncode


def test_every_runtime_has_a_line(examined):
    printed, content, _ = examined
    assert [row["name"] for row in content["runtimes"]] == list(RUNTIMES)
    for row in content["runtimes"]:
        assert row["name"] in printed
        assert (row["reason"] is None) == row["ready"] == bool(row["devices"])


def test_json(examined, checkout):
    _, content, code = examined
    assert content.keys() == KEYS
    assert content["schema_version"] == 1
    assert content["system"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert code == (0 if content["can_run"] else 1)
    told = (checkout / "docs" / "doctor.md").read_text()
    assert [key for key in KEYS if f"`{key}`" not in told] == []


def test_it_agrees_with_what_can_be_imported(examined):
    _, content, code = examined
    ready = {row["name"] for row in content["runtimes"] if row["ready"]}
    assert [name for name in ready if missing(name)] == []
    if not missing("onnxruntime"):
        assert "onnxruntime" in ready
        assert code == 0


def test_a_library_that_crashes_takes_nothing_with_it(pvt_edge_script, tmp_path):
    """Other people's libraries do: TensorRT without a driver, wheels for other CPUs."""
    for name in ("onnxruntime", "openvino"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    (tmp_path / "cuda").mkdir()  # what is around cuda.bindings
    (tmp_path / "cuda" / "__init__.py").write_text("import os\nos._exit(3)\n")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['pvt-edge', 'doctor', "
         "'--json', '-']; from pvt_edge.cli import main; main()"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    content = json.loads(done.stdout)  # and nothing but JSON
    assert content.keys() == KEYS
    rows = {row["name"]: row for row in content["runtimes"]}
    for name in ("onnxruntime", "openvino"):
        assert rows[name]["ready"] is False
        assert rows[name]["reason"].startswith("it crashed (SIGSEGV)")
        assert "pip install --force-reinstall" in rows[name]["reason"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_ctrl_c_waits_for_no_library(pvt_edge_script, tmp_path):
    started = tmp_path / "started"
    (tmp_path / "onnxruntime.py").write_text(f"open({str(started)!r}, 'w').close()\nimport time\ntime.sleep(60)\n")
    with subprocess.Popen(
        [pvt_edge_script, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs inherit "ignore"
    ) as running:  # fmt: skip
        while not started.exists():
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        told, complained = running.communicate()
    assert time.monotonic() - interrupted < 15
    assert (running.returncode, told, complained) == (130, "", "stopped\n")


def test_a_machine_without_threads_to_give(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = CliRunner().invoke(app, ["doctor", "--json", "-"])
    assert json.loads(done.stdout).keys() == KEYS


@pytest.mark.parametrize("place", ["", ".", "no/such/folder/doctor.json"])
def test_a_place_that_cannot_be_written_is_told_first(pvt_edge_command, place):
    done = pvt_edge_command("doctor", "--json", place)
    assert (done.returncode, done.stdout) == (1, "")
    assert "choose another place with --json" in done.stderr
