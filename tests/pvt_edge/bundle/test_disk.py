"""Disks that refuse: no permission, no room, no renaming. All real."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pvt_edge.bundle import BundleWriter

from .made import content, describe, fill, refusal, write

TESTS = Path(__file__).parents[1]


def test_no_permission():
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o555)
        script = (
            "import os, sys; sys.path.insert(0, sys.argv[1]); from bundle.made import write\n"
            "import pvt_edge.bundle.writer\n"
            "if os.getuid() == 0: os.setuid(65534)\n"
            "try: write(sys.argv[2] + '/b0', 'new')\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        command = [sys.executable, "-c", script, str(TESTS), place]
        told = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    assert told == (f"BundleError cannot write {place}/b0: Permission denied: export to a folder you may write to\n")


def test_part_of_the_path_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "b0", tmp_path / "file" / "deep" / "b0"):
        assert "part of that path is a file: export to another folder" in refusal(write, folder, "new")


def test_no_writing_to_proc():
    assert "cannot write /proc/b0: " in refusal(write, "/proc/b0", "new")


def test_file_size_limit(bundle, folder):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from bundle.made import *; import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write(sys.argv[2], 'new' * 5000)\n"
        "except BundleError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(TESTS), str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    assert told == (
        f"cannot write {folder}: File too large: raise the file size limit (ulimit -f), or export to another disk\n"
    )
    assert content(folder) == "old"
    assert os.listdir(folder.parent) == ["b0"]


def test_full_disk(small_disk):
    write(small_disk / "b0", "old")
    told = refusal(write, small_disk / "b0", "new" * 50_000)
    assert told == (
        f"cannot write {small_disk / 'b0'}: No space left on device: free some space on that disk, or export to another"
    )
    assert content(small_disk / "b0") == "old"
    assert os.listdir(small_disk) == ["b0"]


def test_disk_that_fills_up_with_the_manifest(small_disk):
    write(small_disk / "b0", "old")
    with BundleWriter(small_disk / "b0") as writer:
        artifacts = fill(writer, "new")
        room = os.statvfs(small_disk)
        (small_disk / "ballast").write_bytes(b"\0" * room.f_bavail * room.f_bsize)
        assert "No space left on device" in refusal(writer.finish, describe(artifacts))
    assert content(small_disk / "b0") == "old"


def test_mount_point(small_disk):
    assert "is a mount point, which cannot be replaced; take a folder inside it" in refusal(write, small_disk, "new")
