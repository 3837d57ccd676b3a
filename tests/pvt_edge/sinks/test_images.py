"""Annotated pictures that are written, read back."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.pictures.files import WRITABLE
from pvt_edge.sinks import CsvRows, ImageFile, ImageFolder, JsonLines

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
    with ImageFile(source) as sink:
        sink.write(result())
    before = source.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path)
    for sink in (ImageFolder(tmp_path), ImageFolder(tmp_path / "link"), ImageFile(source)):
        with pytest.raises(DataError, match="would write over"):
            sink.write(result(path=str(source)))
    assert source.read_bytes() == before


@pytest.mark.parametrize("suffix", WRITABLE)
def test_only_pictures_of_our_own_are_written_over(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    for grey in (50, 200):  # a second run of the same command
        with ImageFile(path) as sink:
            sink.write(result(grey=grey))
    assert cv2.imread(str(path))[-1, -1].tolist() == pytest.approx([200] * 3, abs=3)
    cv2.imwrite(str(path), result().plot())
    before = path.read_bytes()
    (tmp_path / f"link{suffix}").symlink_to(path)
    for place in (path, tmp_path / f"link{suffix}"):
        with pytest.raises(DataError, match="not written by pvt-edge"):
            ImageFile(place)
    assert path.read_bytes() == before


def test_an_original_beside_the_sources_stays(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"an original")
    sink = ImageFolder(tmp_path)
    with pytest.raises(DataError, match=r"x.jpg is there already and was not written by pvt-edge"):
        sink.write(result(path=str(tmp_path / "x.png")))
    assert (tmp_path / "x.jpg").read_bytes() == b"an original"


@pytest.mark.parametrize(
    ("kind", "name", "text"), [(JsonLines, "a.jsonl", '{"path": "mine"}\n'), (CsvRows, "a.csv", "stream,mine\n")]
)
def test_only_rows_of_our_own_are_written_over(tmp_path, kind, name, text):
    path = tmp_path / name
    for number in range(2):
        with kind(path) as sink:
            sink.write(result(number))
        assert path.read_text().count("RBC") == 1
    path.write_text(text)
    with pytest.raises(DataError, match="not written by pvt-edge"):
        kind(path)
    assert path.read_text() == text


def test_the_pages_of_a_file_keep_their_numbers(tmp_path):
    with ImageFolder(tmp_path) as sink:
        for page in (1, 2):
            for path in ("a/stack.tif", "b/stack.tif"):
                one = result(path=path)
                sink.write(replace(one, frame=replace(one.frame, page=page)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("stack-p0001.jpg", "stack-p0002.jpg", "stack_1-p0001.jpg", "stack_1-p0002.jpg")
    ]


@pytest.mark.parametrize("turn", [1, -1], ids=["the file of several first", "the single pictures first"])
def test_a_picture_called_like_a_frame_or_page_of_another_file_takes_no_one_s_place(tmp_path, turn):
    page = result(path="stack.tif")
    several = [result(1, "clip.mp4"), replace(page, frame=replace(page.frame, page=1))]
    single = [result(0, "frames/Clip_000001.png"), result(0, "pages/stack-p0001.png"), result(0, "clip_2.png")]
    with ImageFolder(tmp_path) as sink:
        for one in [several, single][::turn]:
            for written in one:
                sink.write(written)
    names = {path.name.lower() for path in tmp_path.iterdir()}
    kept = {"clip_000001.jpg", "stack-p0001.jpg", "clip_2.jpg"}
    moved = [{"clip_000001_1.jpg", "stack-p0001_1.jpg"}, {"clip_1_000001.jpg", "stack_1-p0001.jpg"}]
    assert names == kept | moved[turn < 0]


def test_a_long_name_is_cut(tmp_path):
    with ImageFolder(tmp_path) as sink:
        for folder in "ab":
            sink.write(result(path=f"{folder}/{'ä' * 125}.png"))  # 254 bytes
    assert len(list(tmp_path.iterdir())) == 2


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
