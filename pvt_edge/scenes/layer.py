"""What one painted cell adds to the smear."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvt_edge.scenes.texture import Plane


@dataclass(frozen=True)
class Layer:
    """One cell's patch.

    `density` (h, w, 3): optical density BGR, `cover` (h, w): how far it hides what lies below, 0..1, `inside`
    (h, w): the pixels of the cell itself, without its fringe. `top`, `left` as in `Outline`.
    """

    top: int
    left: int
    density: NDArray[np.float32]
    cover: Plane
    inside: NDArray[np.bool_]


def overlap(top: int, left: int, patch_hw: tuple[int, ...], hw: tuple[int, ...]) -> tuple[slice, slice, slice, slice]:
    """Rows and columns of a picture (H, W) under a patch, then those of the same pixels in the patch."""
    y0, y1 = max(top, 0), max(min(top + patch_hw[0], hw[0]), 0)
    x0, x1 = max(left, 0), max(min(left + patch_hw[1], hw[1]), 0)
    y1, x1 = max(y0, y1), max(x0, x1)
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
