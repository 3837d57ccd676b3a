"""What the pictures of a video look like: interlaced, of every colour kind, turned, of changing size."""

import sys

import av
import numpy as np
import pytest
from av.codec.context import Flags

from pvt_edge.errors import DataError
from pvt_edge.sources import open_source
from pvt_edge.sources.video import OpenCvReader, leaves_pictures_unwritten
from pvt_edge.sources.video_frames import turned

from .files import scene, write_clip

INTERLACED = Flags.interlaced_dct | Flags.interlaced_me
TIMES = [n / 25 for n in range(6)]
KINDS = {
    "H.264, top field first": ("clip.mp4", "libx264", "yuv420p", (96, 128), {"x264-params": "tff=1", "crf": "12"}),
    "H.264, bottom field first": ("clip.ts", "libx264", "yuv420p", (96, 128), {"x264-params": "bff=1", "crf": "12"}),
    "MPEG-2": ("clip.mpg", "mpeg2video", "yuv420p", (96, 128), {"b": "8M"}),
    "DV": ("clip.avi", "dvvideo", "yuv420p", (576, 720), {}),
    "ProRes": ("clip.mov", "prores_ks", "yuv422p10le", (96, 128), {"profile": "3"}),
}


def off(images):
    """By how many grey levels each picture differs from the one that was written."""
    return [np.abs(image.astype(int) - scene(n, image.shape[:2])).mean() for n, image in enumerate(images)]


@pytest.mark.parametrize(("name", "codec", "pix_fmt", "hw", "options"), KINDS.values(), ids=KINDS)
def test_interlaced_video_gives_its_own_pictures(tmp_path, name, codec, pix_fmt, hw, options):
    path = write_clip(
        tmp_path / name,
        TIMES,
        codec=codec,
        pix_fmt=pix_fmt,
        hw=hw,
        flags=INTERLACED,
        options=options or {"threads": "1"},
    )
    with open_source(path) as source:
        frames = list(source)
    assert len(frames) == 6
    assert max(off([frame.image for frame in frames])) < 6


@pytest.mark.parametrize(("pix_fmt", "full"), [("yuv420p", False), ("yuv420p", True), ("yuv444p10le", False)])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
def test_colours_are_those_that_the_video_states(tmp_path, matrix, full, pix_fmt):
    number = {"bt709": 1, "smpte170m": 6, "bt2020nc": 9}[matrix]
    colour = np.full((64, 64, 3), (40, 60, 220), np.uint8)  # where the matrices differ by 20 levels and more
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        options = {"crf": "1", "x264-params": f"colormatrix={matrix}:range={'pc' if full else 'tv'}"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = number, 2 if full else 1
        frame = av.VideoFrame.from_ndarray(colour, format="bgr24")
        frame = frame.reformat(format=pix_fmt, dst_colorspace=number, dst_color_range=2 if full else 1)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    image = next(iter(open_source(tmp_path / "clip.mp4"))).image
    assert np.abs(image.astype(int) - colour).max() <= 8


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "hw"),
    [
        ("grey.mkv", "ffv1", "gray16le", (96, 128)),
        ("rgb.mov", "qtrle", "argb", (96, 128)),
        ("alpha.mkv", "ffv1", "yuva420p", (96, 128)),
        ("odd.mkv", "ffv1", "yuv420p", (93, 121)),
        ("one.mkv", "ffv1", "yuv444p", (1, 1)),
    ],
)
def test_pixels_of_any_kind_and_size(tmp_path, name, codec, pix_fmt, hw):
    path = write_clip(tmp_path / name, TIMES, codec=codec, pix_fmt=pix_fmt, hw=hw, options={"threads": "1"})
    images = [frame.image for frame in open_source(path)]
    assert [image.shape for image in images] == [(*hw, 3)] * 6
    assert {(image.dtype, image.flags.c_contiguous, image.flags.writeable) for image in images} == {
        (np.dtype(np.uint8), True, True)
    }
    if codec != "ffv1" or pix_fmt != "gray16le":
        assert max(off(images)) < 6
    else:
        assert max(abs(image.mean() - scene(n).mean()) for n, image in enumerate(images)) < 12


ONE = 1 << 16
MATRICES = {
    "as it is": ((ONE, 0, 0, 0, ONE, 0), [[1, 2, 3], [4, 5, 6]]),
    "a quarter": ((0, ONE, 0, -ONE, 0, 0), [[4, 1], [5, 2], [6, 3]]),
    "a half": ((-ONE, 0, 0, 0, -ONE, 0), [[6, 5, 4], [3, 2, 1]]),
    "three quarters": ((0, -ONE, 0, ONE, 0, 0), [[3, 6], [2, 5], [1, 4]]),
    "mirrored": ((-ONE, 0, 0, 0, ONE, 0), [[3, 2, 1], [6, 5, 4]]),
    "mirrored and a quarter": ((0, ONE, 0, ONE, 0, 0), [[1, 4], [2, 5], [3, 6]]),
    "by no quarter": ((46341, 46341, 0, -46341, 46341, 0), [[1, 2, 3], [4, 5, 6]]),
}


@pytest.mark.parametrize(("matrix", "expected"), MATRICES.values(), ids=MATRICES)
def test_pictures_are_turned_and_mirrored(matrix, expected):
    image = np.repeat(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., None], 3, axis=2)
    assert turned(image, matrix)[..., 0].tolist() == expected
    assert turned(image, None) is image


def test_a_phone_held_upright(tmp_path):
    flat = write_clip(tmp_path / "flat.mp4", TIMES)
    with av.open(str(flat)) as source, av.open(str(tmp_path / "side.mp4"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(-90)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    images = [frame.image for frame in open_source(tmp_path / "side.mp4")]
    assert max(off([np.rot90(image) for image in images])) < 6


def test_a_size_that_changes_in_the_middle(tmp_path):
    small = write_clip(tmp_path / "small.ts", TIMES)
    large = write_clip(tmp_path / "large.ts", TIMES, hw=(192, 256))
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    frames = list(open_source(tmp_path / "both.ts"))
    assert [frame.image.shape[:2] for frame in frames] == [(96, 128)] * 6 + [(192, 256)] * 6
    assert max(off([frame.image for frame in frames[:6]]) + off([frame.image for frame in frames[6:]])) < 6
    times = [frame.video_s for frame in frames]
    assert times == sorted(times)
    assert times[-1] < 1


@pytest.fixture
def without_pyav(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)


def test_without_pyav_opencv_reads(tmp_path, without_pyav):
    path = write_clip(tmp_path / "clip.mp4", TIMES)
    with open_source(path) as source:
        assert isinstance(source._reader, OpenCvReader)
        frames = list(source)
    assert max(off([frame.image for frame in frames])) < 6
    assert [frame.video_s for frame in frames] == pytest.approx(TIMES)


def test_without_pyav_an_unwritten_picture_is_refused(tmp_path, without_pyav):
    import cv2

    if not leaves_pictures_unwritten(cv2.getBuildInformation()):
        pytest.skip("this OpenCV converts interlaced video")
    options = {"x264-params": "tff=1"}
    for count in (1, 6):
        path = write_clip(tmp_path / f"{count}.mp4", TIMES[:count], flags=INTERLACED, options=options)
        with pytest.raises(DataError, match="pip install av"):
            open_source(path)
