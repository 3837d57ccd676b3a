"""Pillow images and torch tensors given to a predictor."""

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.results import Result

from .finder import TWO, predictor_for

Image = pytest.importorskip("PIL.Image")
RGB = np.ascontiguousarray(TWO[..., ::-1])


def pillow(mode="RGB"):
    return Image.fromarray(RGB).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr"])
def test_coloured_images_are_taken_in_the_right_order(tmp_path, mode):
    image = pillow(mode)
    result = predictor_for(tmp_path)(image)
    assert isinstance(result, Result)
    assert result.boxes.cls.tolist() == [0, 1]
    assert np.abs(result.image.astype(int) - TWO).max() < 8


def test_alpha_is_dropped_as_it_is_of_files(tmp_path):
    image = pillow("RGBA")
    image.putalpha(0)
    path = tmp_path / "clear.png"
    image.save(path)
    predictor = predictor_for(tmp_path)
    assert np.array_equal(predictor(image).image, predictor(path).image)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_images_are_taken(tmp_path, mode):
    expected = np.asarray(pillow(mode).convert("L"))
    assert np.array_equal(predictor_for(tmp_path)(pillow(mode)).image, np.dstack([expected] * 3))


@pytest.mark.parametrize(("mode", "dtype"), [("I;16", "<u2"), ("I;16B", ">u2"), ("I", "i4")])
def test_sixteen_bits_become_eight(tmp_path, mode, dtype):
    ramp = np.linspace(0, 65535, 90 * 90).reshape(90, 90).astype(dtype)
    image = Image.frombytes(mode, (90, 90), ramp.tobytes())
    shown = predictor_for(tmp_path)(image).image[..., 0].astype(int)
    assert np.abs(shown - ramp.astype(float) / 257).max() <= 0.5
    cv2.imwrite(str(tmp_path / "grey.png"), ramp.astype(np.uint16))
    assert np.abs(shown - predictor_for(tmp_path)(tmp_path / "grey.png").image[..., 0]).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_says(tmp_path, orientation):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    pillow().save(path, exif=exif, quality=95)
    predictor = predictor_for(tmp_path)
    with Image.open(path) as opened:
        by_path, (in_memory,) = predictor(path), predictor([opened])
    assert in_memory.orig_hw == by_path.orig_hw
    assert np.abs(in_memory.image.astype(int) - by_path.image).mean() < 2
    assert in_memory.path == by_path.path == str(path)


def test_lists_hold_images_arrays_and_paths(tmp_path):
    cv2.imwrite(str(tmp_path / "two.png"), TWO)
    results = predictor_for(tmp_path, batch=-1)([pillow(), TWO, tmp_path / "two.png"])
    assert len({str(result.summary()) for result in results}) == 1


def test_what_is_no_picture_of_pillow_s_is_refused(tmp_path):
    with pytest.raises(DataError, match="mode F"):
        predictor_for(tmp_path)(Image.new("F", (9, 9)))
    with pytest.raises(DataError, match="mode I:"):
        predictor_for(tmp_path)(Image.new("I", (9, 9), 70000))
    path = tmp_path / "cut.png"
    pillow().save(path)
    path.write_bytes(path.read_bytes()[:300])
    with Image.open(path) as opened, pytest.raises(DataError, match=r"cannot read the Pillow image .*cut\.png"):
        predictor_for(tmp_path)(opened)


@pytest.mark.parametrize("wrap", [lambda tensor: tensor, lambda tensor: [tensor]])
def test_tensors_are_refused_with_the_way_to_an_array(tmp_path, wrap):
    torch = pytest.importorskip("torch")
    with pytest.raises(DataError, match=r"tensor of shape \(3, 8, 8\).*permute\(1, 2, 0\)"):
        predictor_for(tmp_path)(wrap(torch.zeros(3, 8, 8)))
