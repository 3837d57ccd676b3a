"""Copies of a picture hash alike, other pictures do not."""

import cv2
import numpy as np
import pytest

from pvt_edge.export.calibration import HASH_BITS, NEAR_BITS, SeenPictures, perceptual_hash
from pvt_edge.scenes import draw_scene
from pvt_edge.sources import read_image


def recoded(image, quality=60):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def shifted(image, x, y):
    height, width = image.shape[:2]
    return cv2.warpAffine(image, np.float32([[1, 0, x], [0, 1, y]]), (width, height), borderMode=cv2.BORDER_REPLICATE)


COPIES = {
    "recoded": recoded,
    "at 90 %": lambda image: cv2.resize(image, None, fx=0.9, fy=0.9),
    "1 pixel to the right": lambda image: shifted(image, 1, 0),
    "1 pixel down": lambda image: shifted(image, 0, 1),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.05, beta=3),
}


@pytest.fixture(scope="module")
def drawn():
    return [draw_scene(i, 480, 640).image for i in range(20)]


def bits_apart(image, other) -> int:
    return int((perceptual_hash(image) != perceptual_hash(other)).sum())


def test_the_hash(drawn):
    found = perceptual_hash(drawn[0])
    assert (found.shape, found.dtype, int(found.sum())) == ((HASH_BITS,), np.bool_, HASH_BITS // 2)


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_copies_are_near(drawn, copy):
    assert max(bits_apart(image, copy(image)) for image in drawn) <= NEAR_BITS


def test_other_pictures_are_far(drawn):
    assert min(bits_apart(a, b) for i, a in enumerate(drawn) for b in drawn[:i]) > 2 * NEAR_BITS


def test_only_the_first_of_copies_is_new(drawn):
    seen = SeenPictures()
    assert [seen.add(image) for image in drawn] == [True] * 20
    assert [seen.add(recoded(image)) for image in drawn] == [False] * 20


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_copies_of_real_pictures_are_near(bccd, copy):
    images = map(read_image, sorted((bccd / "images").iterdir())[::6])
    assert max(bits_apart(image, copy(image)) for image in images) <= NEAR_BITS


def test_real_pictures_are_far(bccd):
    seen = SeenPictures()
    new = [seen.add(read_image(path)) for path in sorted((bccd / "images").iterdir())]
    assert len(new) == 292
    assert new.count(False) <= 2
