"""Where a bundle goes, and one that is there."""

import subprocess

import pytest

from .made import write


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out" / "b0"


@pytest.fixture
def bundle(folder):
    return write(folder, "old")


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)
