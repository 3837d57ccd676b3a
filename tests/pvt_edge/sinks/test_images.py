"""Annotated pictures that are written, read back."""

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sinks import ImageFile, ImageFolder

from .made import result


def test_a_folder_of_no_pictures_is_there(tmp_path):
    with ImageFolder(tmp_path / "new" / "drawn") as sink:
        pass
    assert list(sink.folder.iterdir()) == []


def test_a_folder_of_pictures(tmp_path):
    written = [
        result(0, "shots/a.png"),
        result(1, "other/a.png"),
        result(2, "other/A.jpg"),
        result(7, "clip.mp4"),
        result(8, "clip.mp4"),
        result(7, "other/clip.mp4"),
        result(3),
        result(3, stream=1),
    ]
    with ImageFolder(tmp_path / "new" / "drawn") as sink:
        for one in written:
            sink.write(one)
    names = sorted(path.name for path in (tmp_path / "new" / "drawn").iterdir())
    assert names == sorted(
        [
            *("a.jpg", "a_1.jpg", "A_2.jpg", "clip_000007.jpg", "clip_000008.jpg", "clip_1_000007.jpg"),
            *("frame_000003.jpg", "stream1_frame_000003.jpg"),
        ]
    )
    drawn = cv2.imread(str(tmp_path / "new" / "drawn" / "a.jpg"))
    assert np.abs(drawn.astype(int) - written[0].plot()).mean() < 8


def test_nothing_is_written_over_its_source(tmp_path):
    source = tmp_path / "a.jpg"
    source.write_bytes(b"pixels")
    for sink in (ImageFolder(tmp_path), ImageFile(source)):
        with pytest.raises(DataError, match="would write over"):
            sink.write(result(path=str(source)))
    assert source.read_bytes() == b"pixels"


def test_one_picture_holds_one(tmp_path):
    with ImageFile(tmp_path / "one.png") as sink:
        sink.write(result())
        with pytest.raises(DataError, match="holds one picture"):
            sink.write(result())
    assert np.array_equal(cv2.imread(str(tmp_path / "one.png")), result().plot())


@pytest.mark.parametrize(
    ("kind", "name"), [(ImageFolder, "file/out"), (ImageFile, "file/out.png"), (ImageFolder, "/proc/out")]
)
def test_a_place_that_cannot_be_written_is_named_at_once(tmp_path, kind, name):
    (tmp_path / "file").write_text("a file, no folder")
    with pytest.raises(DataError, match=f"cannot write .*{name}.*choose another place"):
        kind(tmp_path / name)


def test_a_full_disk_is_an_error(mount_disk):
    sink = ImageFolder(mount_disk("64k"))

    def fill():
        for number in range(200):
            sink.write(result(number))

    with pytest.raises(DataError, match="No space left"):
        fill()
