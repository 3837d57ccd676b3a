"""A random view of a labelled picture: mirrored or turned, scaled, cut out, recoloured. Labels follow their pixels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.class_map import VOID

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_VISIBLE = 0.3  # a box cut down below this share of its area is dropped, as annotators do
MIN_CUT_SIDE = 8.0  # pixels that must be left of a box that was cut
MIN_SIDE = 2.0  # pixels of any box: less cannot be seen


@dataclass(frozen=True)
class View:
    """Where pixels go: `matrix` (2, 3) from picture to view, edges of pixels counting, and the view's size."""

    matrix: "NDArray[np.float64]"
    size_hw: tuple[int, int]

    def image(self, image: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
        """The view (h, w, 3) of a picture; outside of it lies its mean colour."""
        import cv2

        fill = image.reshape(-1, 3).mean(axis=0).tolist()
        shrinks = abs(np.linalg.det(self.matrix[:, :2])) < 0.5
        if shrinks:  # OpenCV's warp does not average
            image, centred = _averaged(image, self.matrix)
        else:
            centred = self.matrix
        return np.asarray(
            cv2.warpAffine(image, _of_centres(centred), self.size_hw[::-1], flags=cv2.INTER_LINEAR, borderValue=fill)
        )

    def mask(self, mask: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
        """The view (h, w) of an index mask; outside of the picture lies 255, which is of no class."""
        import cv2

        centred, size = _of_centres(self.matrix), self.size_hw[::-1]
        return np.asarray(cv2.warpAffine(mask, centred, size, flags=cv2.INTER_NEAREST, borderValue=VOID))

    def boxes(self, boxes_xyxy: "NDArray[np.float32]") -> "tuple[NDArray[np.float32], NDArray[np.bool_]]":
        """(the boxes (m, 4) that can still be seen in the view, which of the n given those are (n,))."""
        ends = boxes_xyxy.reshape(-1, 2, 2) @ self.matrix[:, :2].T + self.matrix[:, 2]  # (n, 2 corners, xy)
        moved = np.concatenate((ends.min(axis=1), ends.max(axis=1)), axis=1)
        limit = np.array([self.size_hw[1], self.size_hw[0]] * 2, np.float64)
        cut = np.clip(moved, 0, limit)
        size, cut_size = moved[:, 2:] - moved[:, :2], cut[:, 2:] - cut[:, :2]
        is_cut = (cut_size < size - 0.5).any(axis=1)
        seen = (cut_size.prod(axis=1) > MIN_VISIBLE * size.prod(axis=1)) & (cut_size.min(axis=1) >= MIN_CUT_SIDE)
        kept = np.where(is_cut, seen, cut_size.min(axis=1) >= MIN_SIDE)
        return cut[kept].astype(np.float32), kept


def random_view(
    image_hw: tuple[int, ...],
    view_hw: tuple[int, int],
    fit: tuple[float, float],
    scale: tuple[float, float],
    symmetry: str,
    rng: np.random.Generator,
    *,
    stretch: float = 1.17,
) -> View:
    """A mirrored or turned, scaled and cut out view.

    Args:
        image_hw: The picture's size.
        view_hw: The view's.
        fit: The scales of width and height at which the picture has the size that the network will see it in.
        scale: The least and the most of it that the view is scaled by.
        stretch: The most that one side grows against the other, as a factor.
        symmetry: "mirror" for left and right alone, "all" for up and down and, of square views, quarter turns too,
            "none".
        rng: Where chance comes from.
    """
    zoom = np.exp(rng.uniform(*np.log(scale)))
    wider = np.exp(rng.uniform(-0.5, 0.5) * np.log(stretch))
    signs = rng.choice([-1.0, 1.0], size=2)
    signs = np.where([symmetry != "none", symmetry == "all"], signs, 1.0)
    linear = np.diag([signs[0] * fit[0] * zoom * wider, signs[1] * fit[1] * zoom / wider])
    if symmetry == "all" and view_hw[0] == view_hw[1] and rng.random() < 0.5:  # all eight symmetries of a square
        linear = linear[::-1]
    height, width = image_hw[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T  # (4, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.array(view_hw[::-1]) - (high - low)  # negative where the picture is larger than the view
    offset = rng.uniform(np.minimum(room, 0), np.maximum(room, 0)) - low
    return View(np.column_stack((linear, offset)), view_hw)


def recolour(image: "NDArray[np.uint8]", rng: np.random.Generator) -> "NDArray[np.uint8]":
    """White balance, contrast, brightness, saturation, and now and then blur or noise."""
    import cv2

    x = image.astype(np.float32)
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * np.float32(rng.uniform(0.7, 1.3))
    mean = x.mean()
    x = (x - mean) * np.float32(rng.uniform(0.75, 1.25)) + np.float32(mean + rng.uniform(-22, 22))
    x *= rng.uniform(0.92, 1.08, size=3).astype(np.float32)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.2:
        x += rng.standard_normal(x.shape, np.float32) * np.float32(rng.uniform(1, 6))
    return np.clip(x, 0, 255).astype(np.uint8)


def _of_centres(matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The matrix for OpenCV, which counts the centres of pixels where boxes count their edges."""
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    return centred


def _averaged(
    image: "NDArray[np.uint8]", matrix: "NDArray[np.float64]"
) -> "tuple[NDArray[np.uint8], NDArray[np.float64]]":
    """The picture averaged down to a little more than the view's scale, and the matrix from there."""
    import cv2

    factor = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    size = np.maximum(np.array(image.shape[1::-1]) * min(1.0, factor * 1.4), 1).round().astype(int)
    smaller = np.asarray(cv2.resize(image, size.tolist(), interpolation=cv2.INTER_AREA))
    back = np.array(image.shape[1::-1]) / size  # the picture's pixels a smaller one's
    return smaller, np.column_stack((matrix[:, :2] * back, matrix[:, 2]))
