"""Image files, whole, damaged, tiny, huge."""

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.scenes import draw_scene
from pvt_edge.sources import open_source, read_image


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


@pytest.mark.parametrize("hw", [(1, 1), (1, 16384), (16384, 1), (2160, 16384)])
def test_a_tiny_or_a_16k_picture_is_read(tmp_path, hw):
    cv2.imwrite(str(tmp_path / "a.png"), np.full(hw, 9, np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    (frame,) = open_source(tmp_path / "a.png")
    assert frame.image.shape == (*hw, 3)
    assert frame.image[-1, -1].tolist() == [9, 9, 9]


def test_a_header_that_claims_more_pixels_than_fit_is_refused(tmp_path):
    _, packed = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    data = bytearray(packed.tobytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2  # width and height
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(DataError, match=r"cannot read .*bomb.png"):
        read_image(tmp_path / "bomb.png")
