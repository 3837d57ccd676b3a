"""A file is whole or as it was, and nothing else is left beside it."""

import os
from pathlib import Path

import pytest

from pvt_edge.atomic import OwnedFolder, write_file
from pvt_edge.errors import DataError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("before", [None, b"", b"old"])
def test_a_file_takes_the_place_of_an_older_one(tmp_path, before):
    path = tmp_path / "report.json"
    if before is not None:
        path.write_bytes(before)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["report.json"]


def test_the_longest_name_that_a_disk_takes(tmp_path):
    write_file(tmp_path / ("n" * 255), b"new")
    assert names(tmp_path) == ["n" * 255]


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_file(tmp_path / "taken", b"new")
    assert names(tmp_path) == ["taken"]
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "absent" / "report.json", b"new")


def test_a_full_disk_keeps_the_old_file(mount_disk):
    disk = mount_disk("64k")
    write_file(disk / "report.json", b"old")
    with pytest.raises(OSError, match="No space left"):
        write_file(disk / "report.json", b"n" * (128 << 10))
    assert (disk / "report.json").read_bytes() == b"old"
    assert names(disk) == ["report.json"]


def test_a_link_goes_on_pointing_where_it_points(tmp_path):
    (tmp_path / "real.json").write_bytes(b"old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_file(tmp_path / "link.json", b"new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_bytes() == b"new"
    assert names(tmp_path) == ["link.json", "real.json"]


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="no /dev/fd here")
def test_a_pipe_without_a_path_of_its_own():
    """As /dev/stdout is one before `| jq`."""
    reader, writer = os.pipe()
    try:
        write_file(Path(f"/dev/fd/{writer}"), b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
        os.close(writer)


def test_nothing_takes_the_place_of_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(tmp_path / "pipe", b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["pipe"]


def test_what_was_put_there_during_the_work_is_kept(tmp_path):
    place = tmp_path / "out"
    owned = OwnedFolder("val", "plots", ("val.json",), lambda folder: {*names(folder)} - {"val.json"}, option="--plots")
    owned.replace(place, lambda folder: (folder / "val.json").write_text("old"))
    owned.check(place)

    def work(folder):
        (folder / "val.json").write_text("new")
        (place / "letter.txt").write_text("mine")

    with pytest.raises(DataError, match=r"files that val did not write \(letter.txt\).*another place with --plots"):
        owned.replace(place, work)
    assert (names(tmp_path), names(place)) == (["out"], ["letter.txt", "val.json"])
    assert (place / "val.json").read_text() == "old"
