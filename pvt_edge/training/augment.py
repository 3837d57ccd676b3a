"""Random crops, flips, quarter turns, scale and colour of an annotated picture."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_VISIBLE = 0.3  # a box cut down below this share of its area is dropped, as annotators do
MIN_SIDE = 8.0


def augment(
    image: "NDArray[np.uint8]",
    boxes_xyxy: "NDArray[np.float32]",
    labels: "NDArray[np.int64]",
    crop_hw: tuple[int, int],
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> "tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]":
    """A random view (h, w, 3) uint8 BGR of `image` (H, W, 3), with the boxes (n, 4) and labels (n,) left in it."""
    import cv2

    matrix = _view_matrix(image.shape[:2], crop_hw, scale, rng)
    height, width = crop_hw
    fill = image.reshape(-1, 3).mean(axis=0).tolist()
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # boxes count pixels' edges, OpenCV their centres
    view = cv2.warpAffine(image, centred, (width, height), flags=cv2.INTER_LINEAR, borderValue=fill)
    boxes, kept = _move_boxes(boxes_xyxy, matrix, crop_hw)
    return _recolour(view, rng), boxes, labels[kept]


def _view_matrix(
    image_hw: tuple[int, ...], crop_hw: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator
) -> "NDArray[np.float64]":
    """The affine matrix (2, 3) from picture to view pixels: mirror or quarter turn, scale, then a random place."""
    square = crop_hw[0] == crop_hw[1]
    zoom = np.exp(rng.uniform(*np.log(scale)))
    stretch = np.exp(rng.uniform(-0.08, 0.08))
    signs = rng.choice([-1.0, 1.0], size=2)
    linear = np.diag([signs[0] * zoom * stretch, signs[1] * zoom / stretch])
    if square and rng.random() < 0.5:  # with the mirrors this reaches all eight symmetries of a square
        linear = linear[::-1]
    height, width = image_hw
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T  # (4, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.array(crop_hw[::-1]) - (high - low)  # negative where the picture is larger than the view
    offset = rng.uniform(np.minimum(room, 0), np.maximum(room, 0)) - low
    return np.column_stack((linear, offset))


def _move_boxes(
    boxes_xyxy: "NDArray[np.float32]", matrix: "NDArray[np.float64]", crop_hw: tuple[int, int]
) -> "tuple[NDArray[np.float32], NDArray[np.bool_]]":
    ends = boxes_xyxy.reshape(-1, 2, 2) @ matrix[:, :2].T + matrix[:, 2]  # (n, 2 corners, xy)
    moved = np.concatenate((ends.min(axis=1), ends.max(axis=1)), axis=1)
    limit = np.array([crop_hw[1], crop_hw[0]] * 2, np.float64)
    cut = np.clip(moved, 0, limit)
    size, cut_size = moved[:, 2:] - moved[:, :2], cut[:, 2:] - cut[:, :2]
    kept = (cut_size.prod(axis=1) > MIN_VISIBLE * size.prod(axis=1)) & (cut_size.min(axis=1) >= MIN_SIDE)
    return cut[kept].astype(np.float32), kept


def _recolour(image: "NDArray[np.uint8]", rng: np.random.Generator) -> "NDArray[np.uint8]":
    """White balance, contrast, brightness, saturation, and now and then blur or noise."""
    import cv2

    x = image.astype(np.float32)
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * rng.uniform(0.7, 1.3)
    mean = x.mean()
    x = (x - mean) * rng.uniform(0.75, 1.25) + mean + rng.uniform(-22, 22)
    x *= rng.uniform(0.92, 1.08, size=3)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.2:
        x += rng.normal(0, rng.uniform(1, 6), x.shape).astype(np.float32)
    return np.clip(x, 0, 255).astype(np.uint8)
