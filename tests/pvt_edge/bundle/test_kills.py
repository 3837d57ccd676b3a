"""Exports that are killed, for real, at every moment that matters, and exports at the same time."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pvt_edge import atomic
from pvt_edge.bundle import BundleWriter, read_bundle

from .made import content, refusal, write

TESTS = Path(__file__).parents[1]

CHILD = """
import os, shutil, signal, sys
sys.path.insert(0, sys.argv[1])
from pvt_edge.bundle import BundleWriter
from bundle.made import describe, fill
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit "ignore"
folder, moment, sign = sys.argv[2], sys.argv[3], signal.Signals[sys.argv[4]]
die = lambda: os.kill(os.getpid(), sign)
renames, rename, rmtree = 0, os.rename, shutil.rmtree

def counted(*given):
    global renames
    renames += 1
    if moment == f"before rename {renames}":
        die()
    rename(*given)

def halfway(path, **options):
    if moment == "while deleting":
        os.remove(os.path.join(path, "model.json"))
        die()
    rmtree(path, **options)

os.rename, shutil.rmtree = counted, halfway
with BundleWriter(folder) as writer:
    artifacts = fill(writer, "new")
    if moment == "while writing":
        die()
    if moment == "when told":
        print("ready", flush=True)
        sys.stdin.readline()
    writer.finish(describe(artifacts))
"""


def child(folder, moment, sign="SIGKILL", **options):
    command = [sys.executable, "-c", CHILD, str(TESTS), str(folder), moment, sign]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", **options)


MOMENTS = [  # when it dies, what is left
    ("while writing", "old"),
    ("before rename 1", "old"),
    ("before rename 2", "old"),
    ("before rename 3", "new"),
    ("while deleting", "new"),
]


@pytest.mark.parametrize(("moment", "left"), MOMENTS)
@pytest.mark.parametrize("first", ["read", "write"])
def test_kill(bundle, folder, moment, left, first):
    killed = child(folder, moment)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(folder.parent)) == 2  # some litter, which shows that it died where it should
    if first == "read":
        assert content(folder) == left
        assert content(folder) == left
    write(folder, "newest")
    assert content(folder) == "newest"
    assert os.listdir(folder.parent) == ["b0"]


def test_kill_between_the_renames_and_then_mkdir(bundle, folder):
    child(folder, "before rename 2").communicate()
    folder.mkdir()
    assert content(folder) == "old"


def test_kill_between_the_renames_and_then_an_export_that_fails(bundle, folder):
    child(folder, "before rename 2").communicate()
    with BundleWriter(folder) as writer:
        writer.path("model.onnx").touch()
    assert os.listdir(folder.parent) == ["b0"]
    assert content(folder) == "old"


def test_kill_of_the_first_export(folder):
    child(folder, "before rename 1").communicate()
    assert "no bundle at" in refusal(read_bundle, folder)
    write(folder, "new")
    assert os.listdir(folder.parent) == ["b0"]


@pytest.mark.parametrize(("moment", "left"), [row for row in MOMENTS if row[0] != "while deleting"])
def test_ctrl_c(bundle, folder, moment, left):
    stopped = child(folder, moment, "SIGINT", stderr=subprocess.DEVNULL)
    stopped.communicate()
    assert stopped.returncode == -signal.SIGINT
    assert (folder / "model.json").is_file()
    assert content(folder) == left
    if left == "old":
        assert os.listdir(folder.parent) == ["b0"]


def test_two_exports_at_once(bundle, folder):
    other = child(folder, "when told")
    assert other.stdout.readline() == "ready\n"
    write(folder, "newest")  # must not take the other's folder for litter
    assert content(folder) == "newest"
    other.communicate("go on\n")
    assert other.returncode == 0
    assert content(folder) == "new"
    assert os.listdir(folder.parent) == ["b0"]


def test_names_alike_are_not_litter(folder):
    write(folder, "old")
    other = folder.with_name(".b0.tmp-mine")
    other.mkdir()
    write(folder, "new")
    assert other.is_dir()


def test_a_folder_someone_keeps_locked(folder, monkeypatch):
    folder.parent.mkdir()
    monkeypatch.setattr(atomic, "_PATIENCE_S", 0.05)
    lock = os.open(folder.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert "another process has locked" in refusal(write, folder, "new")
    finally:
        os.close(lock)
    write(folder, "new")
