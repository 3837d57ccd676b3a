"""Where a bundle goes, and one that is there."""

import pytest

from .made import write


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out" / "b0"


@pytest.fixture
def bundle(folder):
    return write(folder, "old")


@pytest.fixture
def small_disk(mount_disk):
    return mount_disk("128k")
