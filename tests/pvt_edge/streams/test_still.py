"""A frozen camera and a still scene, told apart as far as that goes."""

import numpy as np
import pytest

from pvt_edge.streams.reader import StillWatch

RNG = np.random.default_rng(0)
SCENE = RNG.integers(0, 255, (48, 64, 3), np.uint8)
OTHER = RNG.integers(0, 255, (48, 64, 3), np.uint8)


def noisy(scene, seed=None):
    noise = np.random.default_rng(seed).integers(-1, 2, scene.shape)
    return np.clip(scene.astype(int) + noise, 0, 255).astype(np.uint8)


def watch(pictures, step_s=1.0, after_s=3.0):
    """The numbers of the pictures, one a second, at which the source was called frozen."""
    still = StillWatch(after_s)
    return [number for number, image in enumerate(pictures) if still.frozen(image, number * step_s)]


@pytest.mark.parametrize(
    ("pictures", "frozen"),
    [
        ([], []),
        ([SCENE], []),
        ([SCENE] * 3, []),
        ([SCENE] * 4, [3]),
        ([SCENE] * 20, [3]),  # called once: opened anew it shows the same
        ([noisy(SCENE) for _ in range(20)], []),
        ([SCENE, SCENE, SCENE, OTHER, SCENE, SCENE, SCENE], []),
        ([SCENE] * 6 + [OTHER] * 6, [3, 9]),  # another scene may freeze too
        ([SCENE] * 6 + [noisy(SCENE)] + [SCENE] * 9, [3]),  # a key frame in a still scene is no life
        ([SCENE] * 6 + [noisy(SCENE) for _ in range(6)] + [SCENE] * 6, [3, 15]),  # it lived, and froze again
    ],
)
def test_what_is_frozen(pictures, frozen):
    assert watch(pictures) == frozen


def test_something_small_that_moves_is_life():
    pictures = []
    for number in range(20):
        image = SCENE.copy()
        image[8 + number % 2 : 20, 10:20] = 0
        pictures.append(image)
    assert watch(pictures) == []


def test_a_size_that_changes_is_life():
    assert watch([SCENE, SCENE, SCENE[:24], SCENE[:24], SCENE, SCENE]) == []
    assert watch([SCENE] * 5 + [SCENE[:24]] * 5) == [3, 8]


def test_the_picture_of_a_1x1_camera():
    assert watch([np.zeros((1, 1, 3), np.uint8)] * 6) == [3]


def test_it_keeps_no_hold_of_the_picture():
    still, image = StillWatch(3.0), SCENE.copy()
    assert not still.frozen(image, 0.0)
    image[:] = 0  # the caller draws on it
    assert not still.frozen(SCENE, 2.0)
    assert still.frozen(SCENE, 3.0)
