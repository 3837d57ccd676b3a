"""COCO's run lengths against pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco

from pvt_edge.results.masks import draw_runs, packed, run_lengths, unpacked

RANDOM = np.random.default_rng(0)
MASKS = {
    "nothing": np.zeros((3, 5), bool),
    "all": np.ones((3, 5), bool),
    "one pixel": np.eye(1, 12, 7, dtype=bool).reshape(3, 4),
    "first pixel": np.eye(1, 12, 0, dtype=bool).reshape(3, 4),
    "noise": RANDOM.random((37, 53)) > 0.5,
    "large": np.pad(np.ones((300, 500), bool), ((40, 700), (9, 800))),
    "blobs": np.kron(RANDOM.random((9, 7)) > 0.6, np.ones((20, 31))).astype(bool),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_the_text_is_that_of_pycocotools_and_goes_back(mask):
    text = packed(run_lengths(mask))
    assert text == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(draw_runs(unpacked(text), *mask.shape), mask)


def test_lengths_by_hand():
    assert run_lengths(np.array([[0, 1], [1, 1]], bool)) == [1, 3]
    assert run_lengths(np.array([[1, 0], [1, 1]], bool)) == [0, 2, 1, 1]


@pytest.mark.parametrize("lengths", [[5], [3, -1, 4], [7]])
def test_lengths_of_another_size_are_refused(lengths):
    with pytest.raises(ValueError, match="6"):
        draw_runs(lengths, 2, 3)


def test_a_text_that_is_cut_short_is_refused():
    with pytest.raises(ValueError, match="cut short"):
        unpacked(packed([1000])[:-1])
