"""What the user wrote -> the source that reads it."""

import time

import numpy as np
import pytest

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.sources import Frame, ImageFiles, Source, SourceOptions, open_source, read_image
from pvt_edge.sources.capture import Webcam
from pvt_edge.sources.network import HttpStream, RtspStream
from pvt_edge.sources.synthetic import SyntheticCells

from .files import write_picture


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no images in .*sub-folders"):
        open_source(tmp_path)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="it holds 1 other files"):
        open_source(tmp_path)


def test_an_empty_list_is_refused():
    with pytest.raises(DataError, match="list of images is empty"):
        open_source([])


def test_an_empty_text_is_refused():
    with pytest.raises(DataError, match="the source is an empty text"):
        open_source("")


def test_a_folder_is_read_in_order_and_not_below(tmp_path):
    for grey, name in ((30, "c.png"), (10, "a.PNG"), (20, "b.bmp")):
        write_picture(tmp_path / name, grey)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "below").mkdir()
    write_picture(tmp_path / "below" / "d.png")
    before = time.time()
    with open_source(str(tmp_path)) as source:
        frames = list(source)
    assert [frame.path for frame in frames] == [str(tmp_path / name) for name in ("a.PNG", "b.bmp", "c.png")]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [10, 20, 30]
    assert [frame.id for frame in frames] == [0, 1, 2]
    assert all(before <= frame.captured_at <= time.time() for frame in frames)
    assert (source.frame_count, source.fps, source.skipped) == (3, None, [])


def test_unreadable_images_are_skipped_and_named(tmp_path):
    write_picture(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("no image")
    (tmp_path / "c.png").write_bytes(b"")
    write_picture(tmp_path / "d.jpg")
    source = open_source(tmp_path)
    assert [frame.id for frame in source] == [0, 1]
    assert len(source.skipped) == 2
    assert "b.jpg: not an image" in source.skipped[0]
    assert "c.png: the file is empty" in source.skipped[1]


def test_a_folder_of_nothing_readable_is_an_error(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(DataError, match=r"none of the 2 images of .* can be read: .*b.jpg"):
        list(open_source(tmp_path))


def test_one_image(tmp_path):
    path = write_picture(tmp_path / "one.webp")
    (frame,) = open_source(path)
    assert frame.path == str(path)
    assert frame.image.shape == (64, 80, 3)
    assert 0 <= frame.age_ms < 60_000


def test_a_list_keeps_its_order(tmp_path):
    paths = [write_picture(tmp_path / name) for name in ("b.png", "a.png")]
    assert [frame.path for frame in open_source([str(paths[0]), paths[1]])] == [str(path) for path in paths]


def test_a_pattern(tmp_path):
    for name in ("s2.png", "s1.png", "t1.png"):
        write_picture(tmp_path / name)
    (tmp_path / "s3.txt").write_text("hello")
    names = [frame.path for frame in open_source(f"{tmp_path}/s*")]
    assert names == [str(tmp_path / "s1.png"), str(tmp_path / "s2.png")]
    with pytest.raises(DataError, match=r"no image matches .*\(1 other files do\)"):
        open_source(f"{tmp_path}/*.txt")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    path = write_picture(tmp_path / "shot[1].png")
    assert [frame.path for frame in open_source(str(path))] == [str(path)]


@pytest.mark.parametrize(
    ("given", "meant"),
    [("smear_01.jgp", "smear_01.jpg"), ("imges/smear_02.jpg", "images"), ("smear_1.jpg", "smear_01.jpg")],
)
def test_a_missing_path_names_the_nearest(tmp_path, given, meant):
    (tmp_path / "images").mkdir()
    write_picture(tmp_path / "smear_01.jpg")
    for spec in (str(tmp_path / given), [tmp_path / given]):
        with pytest.raises(DataError, match=f"did you mean {tmp_path / meant}"):
            open_source(spec)


def test_a_missing_path_near_nothing(tmp_path):
    with pytest.raises(DataError, match=r"there is no .*zzz; accepted are"):
        open_source(tmp_path / "zzz")


def test_an_unknown_suffix_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no image by its content"):
        open_source(tmp_path / "model.onnx")


def test_an_open_source_is_given_back():
    source = ImageFiles("mine", [])
    assert open_source(source) is source


def test_a_source_of_one_s_own_is_closed_by_with():
    class Noise(Source):
        closed = False

        def __iter__(self):
            yield Frame(np.zeros((4, 4, 3), np.uint8))

        def close(self):
            self.closed = True

    with Noise("noise") as source:
        assert len(list(source)) == 1
    assert source.closed


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        (0, Webcam, "camera 0"),
        ("12", Webcam, "camera 12"),
        ("/dev/video3", Webcam, "camera 3"),
        ("/dev/v4l/by-id/usb-Cam", Webcam, "/dev/v4l/by-id/usb-Cam"),
        ("rtsp://camera/1", RtspStream, "rtsp://camera/1"),
        ("RTSP://camera/1", RtspStream, "rtsp://camera/1"),
        ("rtsps://camera/1", RtspStream, "rtsps://camera/1"),
        ("http://host/a.mjpg", HttpStream, "http://host/a.mjpg"),
        ("https://host/a.mp4", HttpStream, "https://host/a.mp4"),
        ("synthetic://cells", SyntheticCells, "synthetic://cells"),
    ],
)
def test_live_sources_by_address(spec, kind, name):
    source = open_source(spec, connect=False)
    assert type(source) is kind
    assert source.name == name
    assert source.live
    assert not source.connected
    source.close()


def test_a_csi_camera_without_gstreamer_is_one_line_before_anything_opens():
    with pytest.raises(DataError, match=r"csi://0 needs an OpenCV with GStreamer, and OpenCV .* has none: on a Jetson"):
        open_source("csi://0", connect=False)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("csi://front", "names no sensor"),
        ("csi://0?flip=9", "flip is 0 to 7"),
        ("csi://0?flop=2", "did you mean 'flip'"),
        ("csi://0?width=wide", "width must be a number, not 'wide'"),
        ("csi://0?width=0", "1 to 16384 pixels, not 0"),
        ("synthetic://cells?seed=nan", "seed must be a number"),
        ("synthetic://cells?seed=-1", "seed must be 0 or more"),
        ("synthetic://cells?frames=0", "frames 1 or more"),
        ("synthetic://cels", "did you mean 'cells'"),
        ("synthetic://[cells", r"synthetic://\[cells is malformed"),
        ("csi://[0]", "malformed"),
        ("file://[x/a.jpg", "malformed"),
        ("file://a.jpg", "file://a.jpg names no file of this machine"),
        ("file://other/a.jpg", "names no file of this machine"),
    ],
)
def test_settings_in_an_address_are_checked(spec, why):
    with pytest.raises((DataError, UnknownNameError), match=why):
        open_source(spec, connect=False)


def test_an_unknown_scheme_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"kind of source in 'rstp://\*\*\*@cam/1': 'rstp': did you mean 'rtsp'"):
        open_source("rstp://me:secret@cam/1")


@pytest.mark.parametrize("spec", ["user:secret@cam/1", "rtsp:/user:secret@cam/1", "rtsp:user:secr*t@cam/1"])
def test_an_address_without_its_scheme_is_no_file_and_not_repeated(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in (spec, [spec]):
        with pytest.raises(DataError) as caught:
            open_source(given)
        assert "secr" not in str(caught.value)


def test_an_address_in_a_list_is_no_file_and_its_password_is_not_repeated():
    with pytest.raises(DataError, match="there is no rtsp:") as caught:
        open_source(["rtsp://user:secret@cam/1"])
    assert "secret" not in str(caught.value)


def test_settings_go_to_the_camera(monkeypatch):
    source = open_source("synthetic://cells?width=64&height=48&fps=200&frames=2&seed=3", SourceOptions(width=640))
    assert (source.wh, source.fps, source.seed) == ((64, 48), 200.0, 3)
    assert [frame.image.shape for frame in source] == [(48, 64, 3)] * 2


def test_a_file_address(tmp_path):
    path = write_picture(tmp_path / "one picture.png")
    for address in (path.as_uri(), path.as_uri().replace("file://", "FILE://localhost")):
        (frame,) = open_source(address)
        assert frame.path == str(path)


def test_a_file_below_dev_is_a_file():
    from pathlib import Path

    folder = Path("/dev/shm")
    if not folder.is_dir():
        pytest.skip("no /dev/shm here")
    path = write_picture(folder / "pvt-edge-test.png")
    try:
        assert isinstance(open_source(str(path)), ImageFiles)
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("2024/a.png", "2024"),
        ("2024/a.png", "./2024"),
        ("0", "0"),
        ("a [1]/a.png", "a [1]/*.png"),
        ("a [1]/b [2]/a.png", "a [1]/b [2]/[a-c].png"),
        ("50%d/a.png", "50%d/*"),
        ("*/a.png", "*/a.png"),
        ("~x.png", "~x.png"),
        ("~nobody/a.png", "~nobody/a.png"),
        ("two words/a.png", "two words"),
        ("two\nlines.png", "two\nlines.png"),
        ("caf\u00e9/a.png", "cafe\u0301/a.png"),
        ("cafe\u0301/a.png", "caf\u00e9/*.png"),
        ("-x.png", "-x.png"),
        ("x" * 251 + ".png", "x" * 251 + ".png"),
        ("x" * 251 + ".png", "x*.png"),
    ],
)
def test_names_are_taken_as_they_are(tmp_path, monkeypatch, name, spec):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(write_picture(tmp_path / "picture.png").read_bytes())
    (tmp_path / "picture.png").unlink()
    (frame,) = open_source(spec)
    assert (tmp_path / frame.path).samefile(tmp_path / name)


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_picture(tmp_path / "a.png")
    for spec in ("~/a.png", "~/*.png", ["~/a.png"]):
        assert len(list(open_source(spec))) == 1
    assert read_image("~/a.png").shape == (64, 80, 3)


@pytest.mark.parametrize("name", ["x" * 5000, "x/" * 3000, "a\0b"])
def test_a_name_that_no_file_can_have_is_an_error_in_words(name):
    with pytest.raises(DataError, match="there is no"):
        open_source(name)


@pytest.mark.parametrize("there", ["page.png", "node.jsonl", "cope.tif"])
def test_nothing_far_fetched_is_suggested(tmp_path, there):
    (tmp_path / there).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "nope.jpg")
    assert "did you mean" not in str(caught.value)
