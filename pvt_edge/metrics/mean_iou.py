"""Intersections over unions of classes, from counts of pixels by what they are and what they were taken for."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.class_map import VOID


class PixelCounts(NamedTuple):
    """How often which class was taken for which in one picture: `cells` index a table of (n, n + 1), whose last column
    is what the data has no class for, row by row; `counts` are the pixels of each."""

    cells: NDArray[np.int64]
    counts: NDArray[np.int64]


def count_pairs(labels: NDArray[np.uint8], found: NDArray[np.integer], classes: int) -> PixelCounts:
    """The pixels of `labels` (H, W), 255 apart, by what is `found` (H, W) there: 0..classes-1, or `classes` for what
    is none of them."""
    known = labels != VOID
    cells = labels[known].astype(np.int64) * (classes + 1) + found[known]
    counts = np.bincount(cells, minlength=1)
    present = np.flatnonzero(counts)
    return PixelCounts(present, counts[present])


def sum_pairs(pictures: list[PixelCounts], classes: int) -> NDArray[np.int64]:
    """The table (n, n + 1) of all pictures: what there is by row, what it was taken for by column."""
    table = np.zeros(classes * (classes + 1), np.int64)
    for cells, counts in pictures:
        table[cells] += counts
    return table.reshape(classes, classes + 1)


def iou_figures(table: NDArray[np.int64]) -> tuple[dict[str, float], NDArray[Any]]:
    """(figures of all classes, (n, 3) of each: pixels, IoU, accuracy) of a table of counts.

    As mmseg's intersect_and_union: the union of a class is its pixels and those taken for it, less those that are both;
    of a class with neither the IoU is NaN and does not count in the mean, nor does the accuracy of one without pixels.
    """
    classes = len(table)
    both, there, taken = np.diag(table).astype(float), table.sum(axis=1), table[:, :classes].sum(axis=0)
    union = there + taken - both
    with np.errstate(invalid="ignore"):
        iou, accuracy = np.where(union > 0, both / union, np.nan), np.where(there > 0, both / there, np.nan)
    total = int(there.sum())
    figures = {
        "mIoU": float(np.nanmean(iou)) if (union > 0).any() else float("nan"),
        "pixel_accuracy": float(both.sum()) / total if total else float("nan"),
        "mean_accuracy": float(np.nanmean(accuracy)) if total else float("nan"),
    }
    return figures, np.stack((there.astype(float), iou, accuracy), axis=1)
