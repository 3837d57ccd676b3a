"""Pixels of more than 8 bits."""

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.pictures.resizing import check_pixel_max, to_8_bits, to_bgr
from pvt_edge.scenes import draw_scene
from pvt_edge.sources import SourceOptions, open_source, read_image

TWELVE = draw_scene(71).image.astype(np.uint16) * 16  # 0 to 4080


@pytest.mark.parametrize(
    ("pixels", "pixel_max", "expected"),
    [
        (np.uint16([0, 128, 257, 65535]), None, [0, 0, 1, 255]),
        (np.uint16([0, 2048, 4095, 60000]), 4095, [0, 128, 255, 255]),
        (np.uint16([0, 500, 1000]), "auto", [0, 125, 249]),
        (np.uint16([0, 100, 200]), "auto", [0, 100, 200]),
        (np.float32([-1, 0, 0.5, 1]), "auto", [0, 0, 128, 255]),
        (np.int32([-5, 50, 100]), 100, [0, 128, 255]),
        (np.uint8([0, 9, 255]), 4095, [0, 9, 255]),
    ],
)
def test_pixels_become_8_bits(pixels, pixel_max, expected):
    assert to_8_bits(pixels, pixel_max).tolist() == expected


@pytest.mark.parametrize("value", ["4095 ", 4095, "auto", None])
def test_a_white_is_taken(value):
    assert check_pixel_max(value) in (4095, "auto", None)


@pytest.mark.parametrize("value", [0, -1, "12 bits", "nan", "inf", ""])
def test_what_is_no_white_is_refused(value):
    with pytest.raises(DataError, match="such as 4095"):
        check_pixel_max(value)


def test_twelve_bits_are_told_of_and_read(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), TWELVE)
    with pytest.warns(PictureWarning, match=r"go no higher than \d+.* --pixel-max 4095"):
        assert read_image(path).max() < 17
    for chosen in (4095, "auto"):
        image = read_image(path, pixel_max=chosen)
        assert np.abs(image.astype(int) - draw_scene(71).image).max() <= 1
        (frame,) = open_source(path, SourceOptions(pixel_max=chosen))
        assert np.array_equal(frame.image, image)
        assert np.array_equal(to_bgr(TWELVE, chosen), image)
    cv2.imwrite(str(tmp_path / "b.png"), np.full((8, 8), 65535, np.uint16))
    with pytest.warns(PictureWarning, match=r"in 1 of 2 pictures .*--pixel-max 4095"):
        list(open_source(tmp_path))
