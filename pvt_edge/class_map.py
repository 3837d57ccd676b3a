"""Class maps: an id for each pixel, and one value for pixels of no class."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.pictures.resizing import mask_to_original

if TYPE_CHECKING:
    from collections.abc import Collection

    from pvt_edge.pictures.resizing import Placement

VOID = 255  # in a uint8 map: what a crop cut off, what was not asked for, what a label leaves open
MOST_IN_UINT8 = 255  # classes, whose ids leave 255 free


def void_of(dtype: "np.dtype[Any]") -> int:
    """The value of a pixel without a class: 255 in uint8, -1 where ids are larger."""
    return VOID if dtype == np.uint8 else -1


def as_class_map(mask: NDArray[Any], classes: int) -> NDArray[Any]:
    """A graph's ids as uint8, where all of them and 255 for no class fit, else as int32."""
    return np.asarray(mask, np.uint8 if classes <= MOST_IN_UINT8 else np.int32)


def only(mask: NDArray[Any], ids: "Collection[int]") -> NDArray[Any]:
    """The map with the classes `ids` alone; all other pixels are of no class."""
    return np.where(np.isin(mask, list(ids)), mask, np.array(void_of(mask.dtype), mask.dtype))


def map_of_logits(logits: NDArray[np.floating], placement: "Placement", threshold: float) -> NDArray[Any]:
    """Class ids (h, w) in the picture's pixels of logits (K, H/4, W/4) that lie over the input.

    As mmseg has it: bilinear to the input's size, borders cut off, bilinear again to the picture's size, and then the
    largest, the first of equals. Of K = 1 it is 1 where the sigmoid is above `threshold`, else 0.
    """
    import cv2

    height, width = placement.input_hw
    (resized_height, resized_width), (left, top) = placement.resized_hw, placement.offset_xy
    whole = left >= 0 and top >= 0  # nothing of the picture was cut off
    best = ids = None
    for i, plane in enumerate(logits.astype(np.float32, copy=False)):  # one at a time, for all would fill the memory
        grown = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
        if whole:
            inside = grown[top : top + resized_height, left : left + resized_width]
            grown = cv2.resize(inside, placement.orig_hw[::-1], interpolation=cv2.INTER_LINEAR)
        if best is None or ids is None:
            best, ids = grown, np.zeros(grown.shape, np.uint8 if len(logits) <= MOST_IN_UINT8 else np.int32)
            continue
        ids[grown > best] = i
        best = np.maximum(best, grown)
    assert best is not None and ids is not None
    if len(logits) == 1:
        # sigmoid(x) > t, and not of x itself so that 0 and 1 are thresholds too
        ids = (1 / (1 + np.exp(-best.astype(np.float64))) > threshold).astype(np.uint8)
    return ids if whole else mask_to_original(ids, placement, void_of(ids.dtype))
