"""Random views: boxes and masks follow their pixels under every transform."""

import cv2
import numpy as np
import pytest

from pvt_edge.options.train import SYMMETRIES
from pvt_edge.training.view import VOID, View, random_view, recolour

COLOURS = {0: (255, 0, 0), 1: (0, 255, 0), 2: (0, 0, 255)}  # of the rectangle with that label, BGR
BOXES = np.array([[20, 30, 60, 50], [80, 10, 95, 70], [5, 60, 45, 88]], np.float32)
LABELS = np.array([2, 0, 1])


def flags() -> np.ndarray:
    """A grey picture of 100x120 with a rectangle of pure colour in each of BOXES."""
    image = np.full((100, 120, 3), 128, np.uint8)
    for (x1, y1, x2, y2), label in zip(BOXES.astype(int), LABELS, strict=True):
        image[y1:y2, x1:x2] = COLOURS[int(label)]
    return image


def find(view: np.ndarray, label: int, least: int = 127) -> np.ndarray | None:
    """Box xyxy around what has that label's colour in a view; 127 means pixels that are half of it."""
    others = [channel for channel in range(3) if channel != label]
    rows, columns = np.nonzero(view[..., label].astype(int) > view[..., others].max(axis=2).astype(int) + least)
    if len(rows) == 0:
        return None
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


def augment(image, boxes, labels, view_hw, scale, rng, *, fit=1.0, symmetry="all", colours=False):
    """(view, its boxes, their labels)."""
    view = random_view(image.shape, view_hw, (fit, fit), scale, symmetry, rng)
    moved, kept = view.boxes(boxes)
    seen = view.image(image)
    return recolour(seen, rng) if colours else seen, moved, labels[kept]


@pytest.mark.parametrize("crop_hw", [(64, 64), (128, 160), (160, 128), (96, 200)])
def test_boxes_follow_their_pixels(crop_hw):
    errors = []
    for seed in range(60):
        view, boxes, labels = augment(flags(), BOXES, LABELS, crop_hw, (0.8, 1.4), np.random.default_rng(seed))
        assert (view.shape, view.dtype, boxes.dtype) == ((*crop_hw, 3), np.uint8, np.float32)
        assert len(boxes) == len(labels)
        for box, label in zip(boxes, labels, strict=True):
            errors.append(box - find(view, int(label)))
    errors = np.array(errors)
    assert len(errors) > 60
    # found boxes end on whole pixels; no side may be off on average
    assert np.abs(errors).max() < 0.51
    assert np.abs(errors.mean(axis=0)).max() < 0.1


def test_boxes_follow_their_pixels_through_the_colours():
    seen = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        view, boxes, labels = augment(flags(), BOXES, LABELS, (128, 160), (0.9, 1.2), rng, colours=True)
        for box, label in zip(boxes, labels, strict=True):
            found = find(view, int(label), least=60)
            seen += found is not None and np.abs(box - found).max() < 3.0  # blur and noise eat at the edges
    assert seen > 80


def test_a_box_is_dropped_when_most_of_it_is_cut_off():
    box = np.array([[0, 0, 100, 100]], np.float32)
    for x, kept in ((0, True), (-60, True), (-71, False), (-99, False), (200, False)):
        matrix = np.array([[1, 0, x], [0, 1, 0]], float)
        moved, mask = View(matrix, (100, 100)).boxes(box)
        assert mask.tolist() == [kept], x
        assert moved.tolist() == ([[0, 0, 100 + x, 100]] if kept else [])


def test_slivers_of_cut_boxes_are_dropped_and_small_boxes_stay():
    view = View(np.eye(2, 3), (100, 100))
    cut = np.array([[-4, 10, 8, 30], [-4, 10, 7.9, 30], [10, 92.1, 30, 104]], np.float32)
    assert view.boxes(cut)[1].tolist() == [True, False, False]
    whole = np.array([[10, 10, 17, 30], [10, 10, 12, 12], [10, 10, 11.9, 30]], np.float32)
    assert view.boxes(whole)[1].tolist() == [True, True, False]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_masks_follow_their_pixels(symmetry):
    """An index mask is cut as its picture is, without classes that lie between others."""
    mask = np.full((100, 120), 9, np.uint8)
    for (x1, y1, x2, y2), label in zip(BOXES.astype(int), LABELS, strict=True):
        mask[y1:y2, x1:x2] = label
    for seed in range(20):
        view = random_view((100, 120), (90, 140), (1.0, 1.0), (0.7, 1.4), symmetry, np.random.default_rng(seed))
        seen, classes = view.image(flags()), view.mask(mask)
        assert set(np.unique(classes)) <= {0, 1, 2, 9, VOID}
        pure = seen.max(axis=2).astype(int) - seen.min(axis=2) > 200
        assert (seen[pure].argmax(axis=1) == classes[pure]).all()
        corners = np.array([[0, 0], [140, 0], [0, 90], [140, 90]], float)
        inside = np.linalg.solve(view.matrix[:, :2], (corners - view.matrix[:, 2]).T).T
        outside = (inside < -2).any() or (inside > (122, 102)).any()
        assert (VOID in classes) == outside or not outside


@pytest.mark.parametrize("fit", [0.3, 1.0, 1.6])
def test_a_mask_is_cut_as_the_picture_that_shows_it(fit):
    """What is above half in a picture of two values is what its mask has, but for the pixels on the border itself."""
    rows, columns = np.mgrid[:200, :240]
    mask = (((columns - 130) / 70) ** 2 + ((rows - 90) / 45) ** 2 < 1).astype(np.uint8)
    for seed in range(12):
        view = random_view((200, 240), (96, 120), (fit, fit), (0.7, 1.4), "all", np.random.default_rng(seed))
        seen = view.image(np.repeat(mask[..., None] * 255, 3, axis=2).astype(np.uint8))[..., 0] > 127
        classes = view.mask(mask)
        known = classes != VOID
        border = cv2.morphologyEx(classes, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        differ = (seen != (classes == 1)) & known
        assert not (differ & ~border).any()
        shown = seen & known
        assert differ.sum() <= 0.05 * max(shown.sum(), 1)
        if shown.sum() > 300:  # and none of the two lies aside of the other
            offset = np.argwhere(shown).mean(axis=0) - np.argwhere(classes == 1).mean(axis=0)
            assert np.abs(offset).max() < 0.15


@pytest.mark.parametrize("fit", [0.1, 0.3, 0.7])
def test_large_pictures_are_averaged_and_boxes_stay_on_them(fit):
    big = np.repeat(np.repeat(flags(), 8, axis=0), 8, axis=1)
    view, boxes, labels = augment(big, BOXES * 8, LABELS, (600, 700), (1, 1), np.random.default_rng(3), fit=fit)
    found = [find(view, int(label)) for label in labels]
    assert len(found) > 0
    assert np.abs(np.array(found) - boxes).max() < 1.01
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3)).astype(np.uint8)
    small = random_view((1600, 1600), (96, 96), (0.06, 0.06), (1, 1), "none", np.random.default_rng(0)).image(noise)
    assert small.std() < 20  # a warp that picked single pixels would keep the noise, 74


def test_labels_stay_with_their_boxes_when_some_are_dropped():
    dropped = 0
    for seed in range(60):
        view, boxes, labels = augment(flags(), BOXES, LABELS, (48, 48), (1.0, 1.5), np.random.default_rng(seed))
        dropped += len(labels) < 3
        for box, label in zip(boxes, labels, strict=True):
            x1, y1, x2, y2 = box.round().astype(int)
            middle = view[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3].reshape(-1, 3).mean(axis=0)
            assert middle.argmax() == label
    assert dropped > 30


def test_a_picture_without_boxes():
    none = np.zeros((0, 4), np.float32)
    view, boxes, labels = augment(flags(), none, np.zeros(0, np.int64), (64, 64), (1, 1), np.random.default_rng(0))
    assert (view.shape, boxes.shape, labels.shape) == ((64, 64, 3), (0, 4), (0,))


def test_a_seed_gives_the_same_view_again():
    def one(seed: int) -> list[bytes]:
        made = augment(flags(), BOXES, LABELS, (96, 96), (0.6, 1.5), np.random.default_rng(seed))
        return [part.tobytes() for part in made]

    assert one(5) == one(5)
    assert len({one(seed)[0] for seed in range(10)}) == 10


@pytest.mark.parametrize(
    ("symmetry", "view_hw", "count"),
    [("all", (64, 64), 8), ("all", (64, 96), 4), ("mirror", (64, 64), 2), ("none", (64, 64), 1)],
)
def test_symmetries(symmetry, view_hw, count):
    linear = {
        tuple(
            np.sign(
                random_view((64, 64), view_hw, (1.0, 1.0), (1, 1), symmetry, np.random.default_rng(seed)).matrix[:, :2]
            ).ravel()
        )
        for seed in range(100)
    }
    assert len(linear) == count
    assert all(row[3] > 0 for row in linear) or symmetry == "all"  # never upside down
