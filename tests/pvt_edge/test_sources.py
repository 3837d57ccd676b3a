"""Real image and video files, whole, damaged and missing."""

import time

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.scenes import draw_scene
from pvt_edge.sources import Frame, ImageFiles, Source, VideoFile, open_source, read_image


def write_picture(path, grey=100, hw=(64, 80)):
    assert cv2.imwrite(str(path), np.full((*hw, 3), grey, np.uint8))
    return path


def write_video(path, frames=12, fps=10.0, codec="MJPG", wh=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, wh)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((wh[1], wh[0], 3), 20 * number, np.uint8))
    writer.release()
    return path


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no images in .*known suffixes are .jpg"):
        open_source(tmp_path)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="it holds 1 other files"):
        open_source(tmp_path)


def test_an_empty_list_is_refused():
    with pytest.raises(DataError, match="list of images is empty"):
        open_source([])


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


@pytest.mark.parametrize("spec", [0, "0", "12", "rtsp://camera/1", "http://host/a.mp4", "csi://0", "/dev/video0"])
def test_cameras_and_streams_are_refused_with_what_is_accepted(spec):
    with pytest.raises(DataError, match="cameras and network streams are not read yet; accepted are"):
        open_source(spec)


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
    with pytest.raises(DataError, match=r"images end in .jpg"):
        open_source(tmp_path / "model.onnx")


def test_an_open_source_is_given_back():
    source = ImageFiles("mine", [])
    assert open_source(source) is source


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "mp4v")])
def test_a_video(tmp_path, suffix, codec):
    path = write_video(tmp_path / f"clip{suffix}", codec=codec)
    with open_source(path) as source:
        assert isinstance(source, VideoFile)
        assert (source.fps, source.frame_count) == (10.0, 12)
        frames = list(source)
    assert [frame.id for frame in frames] == list(range(12))
    assert {frame.path for frame in frames} == {str(path)}
    assert {frame.fps for frame in frames} == {10.0}
    means = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(means, [20 * number for number in range(12)], atol=4)
    assert source.skipped == []
    assert list(source) == []  # read once


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
@pytest.mark.parametrize("name", ["clip.mp4", "clip_01.avi"])
def test_what_is_no_video_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"cannot read .*{name}"):
        open_source(tmp_path / name)


def test_an_mp4_cut_before_its_index_is_refused(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", codec="mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="was not written to its end"):
        open_source(tmp_path / "cut.mp4")


def test_a_video_that_ends_too_early_says_so(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    (tmp_path / "cut.avi").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(tmp_path / "cut.avi")
    read = len(list(source))
    assert 10 <= read <= 25
    assert source.skipped == [f"{tmp_path / 'cut.avi'}: ends after {read} of 40 frames; the file is cut short"]


def test_closing_twice_does_nothing(tmp_path):
    source = open_source(write_video(tmp_path / "clip.avi"))
    source.close()
    source.close()


def test_a_jpeg_cut_short_is_refused_though_opencv_would_take_it(tmp_path):
    _, packed = cv2.imencode(".jpg", draw_scene(0).image)
    (tmp_path / "cut.jpg").write_bytes(packed.tobytes()[: len(packed) // 2])
    with pytest.raises(DataError, match="the JPEG file is cut short"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize("trailer", [b"", b"\x00" * 64, b"MotionPhoto" * 1000])
def test_a_jpeg_with_a_thumbnail_and_a_trailer_is_whole(tmp_path, trailer):
    image = draw_scene(0).image
    _, packed = cv2.imencode(".jpg", image)
    _, small = cv2.imencode(".jpg", image[::16, ::16].copy())
    thumbnail = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small.tobytes()
    data = packed.tobytes()
    whole = data[:2] + thumbnail + data[2:]
    (tmp_path / "whole.jpg").write_bytes(whole + trailer)
    assert read_image(tmp_path / "whole.jpg").shape == (480, 640, 3)
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])  # the thumbnail is whole, the picture is not
    with pytest.raises(DataError, match="cut short"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize(
    ("pixels", "bgr"),
    [
        (np.full((8, 9), 70, np.uint8), (70, 70, 70)),
        (np.full((8, 9), 70 * 257, np.uint16), (70, 70, 70)),
        (np.full((8, 9, 4), (10, 20, 30, 0), np.uint8), (10, 20, 30)),
    ],
)
def test_grey_alpha_and_16_bits_become_bgr(tmp_path, pixels, bgr):
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    image = read_image(tmp_path / "a.png")
    assert image.shape == (8, 9, 3)
    assert image.dtype == np.uint8
    assert (image == bgr).all()


def test_a_missing_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_image(tmp_path / "a.png")


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
