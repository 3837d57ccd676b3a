"""Exit codes and messages of the command, run as users run it."""

import signal
import subprocess
import sys
from contextlib import suppress
from io import StringIO

import pytest
import typer
from rich.console import Console

from pvt_edge.cli.options import check_json, read_labels
from pvt_edge.cli.progress import STOPPED, bar_shown, interruptible
from pvt_edge.errors import DataError, ExportError


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exprot"], "No such command"),
        (["export"], "--variant"),
        (["export", "--variant", "b0", "--imgsz", "big"], "write 640"),
        (["export", "--variant", "b0", "--batch", "0"], "--batch"),
        (["export", "--variant", "b0", "--max-drop", "little"], "--max-drop"),
        (["predict", "nowhere"], "source"),
        (["predict", "nowhere", "x.jpg", "--conf", "2"], "--conf"),
        (["inspect"], "bundle"),
    ],
)
def test_wrong_usage_exits_with_2(pvt_edge_command, arguments, said):
    done = pvt_edge_command(*arguments)
    assert done.returncode == 2
    assert said.lower() in done.stderr.lower()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--variant", "b9"], "unknown variant 'b9': did you mean"),
        (["export", "--variant", "b0", "--task", "detcet"], "did you mean 'detect'"),
        (["export", "--variant", "b0", "--imgsz", "500"], "the nearest is 512,512"),
        (["export", "--variant", "b0", "--imgsz", "480,630"], "the nearest is 480,640"),
        (["export", "--variant", "b0", "--format", "onxx"], "did you mean 'onnx'"),
        (["export", "--variant", "b0", "--resize", "letter"], "did you mean 'letterbox'"),
        (["export", "--variant", "b2"], "--weights FILE"),
        (["export", "--variant", "b2", "--weights", "none", "--int8"], "--calib"),
        (["export", "--variant", "b0", "--weights", "no-such-file.pth"], "no-such-file.pth"),
        (["export", "--variant", "b2", "--weights", "cells"], "for variant b0"),
        (["export", "--variant", "b0", "--int8", "--calib", "no-such-folder"], "no-such-folder"),
        (["export", "--variant", "b0", "--labels", "no-such-labels.txt"], "no-such-labels.txt"),
        (["export", "--variant", "b0", "--out", "/proc/here"], "/proc"),
        (["export", "--variant", "b0", "--metric", "agremeent"], "did you mean 'agreement'"),
        (["export", "--variant", "b0", "--max-drop", "2"], "max_drop is a fraction of the metric, 0 to 1, got 2"),
        (["export", "--variant", "b0", "--images", "pictures"], "give the file with --data"),
        (["export", "--variant", "b0", "--weights", "none", "--metric", "map"], "with --data"),
        (["export", "--variant", "b0", "--int8", "--calib", ".", "--calib-n", "15"], "pass --allow-small"),
        (["inspect", "no-such-bundle"], "no-such-bundle"),
        (["predict", "no-such-bundle", "x.jpg"], "no-such-bundle"),
    ],
)
def test_errors_are_one_line_and_exit_with_1(pvt_edge_command, arguments, said):
    done = pvt_edge_command(*arguments)
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error:" in line]) == 1


def test_debug_shows_the_traceback(pvt_edge_command):
    done = pvt_edge_command("--debug", "inspect", "no-such-bundle")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_version(pvt_edge_command):
    done = pvt_edge_command("--version")
    assert (done.returncode, done.stdout) == (0, "pvt-edge 0.2.0\n")


def test_changelog_has_the_version(pvt_edge_command, checkout):
    version = pvt_edge_command("--version").stdout.split()[1]
    assert f"## [{version}]" in (checkout / "CHANGELOG.md").read_text()


def test_the_mark_that_windows_writes_first_is_no_part_of_a_label(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfRBC\r\nWBC\r\n")
    assert read_labels(tmp_path / "labels.txt") == ("RBC", "WBC")


def test_labels_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"labels in \S+none\.txt: No such file or directory: give a text file"):
        read_labels(tmp_path / "none.txt")


@interruptible()
def fails(*, stopped):
    if stopped:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    raise ExportError("torch.onnx.export failed: module 'torch._dynamo' has no attribute 'exc'")


def test_ctrl_c_that_a_library_swallows_and_then_fails_of(capsys):
    with pytest.raises(typer.Exit) as ended:
        fails(stopped=True)
    assert (ended.value.exit_code, capsys.readouterr().err) == (130, f"{STOPPED}\n")
    with pytest.raises(ExportError, match="no attribute 'exc'"):
        fails(stopped=False)


def test_help_loads_nothing_that_takes_its_time():
    code = "import sys, pvt_edge.cli.app; print({'numpy', 'pydantic', 'requests', 'torch', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "set()\n"


def test_a_report_into_a_closed_output(pvt_edge_script):
    command = ["sh", "-c", 'exec "$0" inspect nowhere --json - >&-', pvt_edge_script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("pvt-edge: error: cannot write to standard output, which is closed")


def test_a_report_where_nothing_may_be_written_is_told_of_first(mount_disk):
    disk = mount_disk("64k")
    (disk / "old.json").touch()
    check_json(str(disk / "new.json"))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for name in ("old.json", "new.json"):
        with pytest.raises(DataError, match=f"{name}', which may not be written: choose another place with --json"):
            check_json(str(disk / name))


def test_a_name_beside_a_bar_is_no_markup():
    out = StringIO()
    with bar_shown(Console(file=out, force_terminal=True, width=100), "shots/[/a]*.jpg", 2) as advance:
        advance()
    assert "shots/[/a]*.jpg" in out.getvalue()
