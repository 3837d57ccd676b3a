"""Mean IoU of masks found in labelled pictures, from counts of pixels by what they are and were taken for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.class_map import VOID
from pvt_edge.data.labelled_set import MaskSample, MaskSet
from pvt_edge.errors import DataError
from pvt_edge.metrics.confusion import NOTHING, Confusion
from pvt_edge.metrics.labelled import Answer, Labelled, Scores, keep_present, refuse_unknown_classes

_NUMBERED = re.compile(r"class_\d+")  # what classes are called that nobody named


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


@dataclass(frozen=True, kw_only=True)
class LabelledMasks(Labelled[MaskSample]):
    """Pictures with masks of the classes `names`; `class_of` has the data's class for each of the model's, -1 for those
    that the data does not know."""

    names: tuple[str, ...]
    class_of: tuple[int, ...]

    def rate(self, sample: MaskSample, answer: Answer | None, image_hw: tuple[int, int]) -> PixelCounts:
        """What each labelled pixel was taken for. `DataError` for a mask of another size than the picture."""
        labels = sample.mask()
        if labels.shape != image_hw:
            sizes = "the mask {1}x{0} pixels, the picture {3}x{2}".format(*labels.shape, *image_hw)
            raise DataError(f"{sample.mask_path} does not fit {sample.path}: {sizes}")
        none = len(self.names)
        if answer is None:
            return count_pairs(labels, np.full(labels.shape, none, np.int64), none)
        mask = answer["mask"]
        size = max(len(self.class_of), int(np.iinfo(np.uint8).max)) + 1
        table = np.full(size, none, np.int64)  # what is of no class is 255, or -1 from the end
        table[: len(self.class_of)] = [none if number < 0 else number for number in self.class_of]
        return count_pairs(labels, table[mask], none)

    def score(self, rated: Sequence[Any]) -> Scores:
        """ "mIoU", "pixel_accuracy" and "mean_accuracy" as mmseg has them, with "IoU" and "accuracy" of each class."""
        table = sum_pairs(list(rated), len(self.names))  # without a row of nothing: what is labelled is something
        figures, rows = iou_figures(table)
        confusion = Confusion((*self.names, NOTHING), np.vstack((table, np.zeros_like(table[:1]))))
        classes = {
            name: {"pixels": pixels, "IoU": iou, "accuracy": accuracy}
            for name, (pixels, iou, accuracy) in zip(self.names, rows.tolist(), strict=True)
        }
        return Scores(figures, classes, confusion=confusion)


def judge_masks(
    dataset: MaskSet, labels: Sequence[str], *, limit: int | None = None, skip: bool = False
) -> LabelledMasks:
    """The pictures of a data set for a model of the classes `labels`, matched by name; by number where the names of
    either are not known, and then both have as many.

    Raises:
        DataError: Where there is nothing to judge by, a class that the model does not know, or pictures are missing.
    """
    if not dataset.samples:
        raise DataError(f"{dataset.source} lists no pictures: a segmenter is judged by labelled ones")
    kept, left_out = keep_present(dataset, limit=limit, skip=skip)
    assert isinstance(kept, MaskSet)
    counts = kept.counts()
    if not sum(counts.values()):
        raise DataError(f"{dataset.source} has no labelled pixel in its {len(kept.samples)} masks: all are 255")
    notes = []
    if dataset.names_known and not all(_NUMBERED.fullmatch(label) for label in labels):
        refuse_unknown_classes(dataset.source, counts, labels, "masks")
        place = {name: i for i, name in enumerate(dataset.names)}
        class_of = tuple(place.get(label, -1) for label in labels)
        absent = [label for label in labels if label not in place]
        notes += [f"classes that the data does not have: {', '.join(absent)}; their pixels are wrong"] if absent else []
    elif len(dataset.names) != len(labels):
        raise DataError(
            f"{dataset.source} has {len(dataset.names)} classes and the model {len(labels)}, without names to match "
            "them by: give the data a classes.txt of as many, or export again with --labels"
        )
    else:
        class_of = tuple(range(len(labels)))
    empty = [name for name, count in counts.items() if not count]
    notes += [f"classes without a labelled pixel: {', '.join(empty[:8])}" + " ..." * (len(empty) > 8)] if empty else []
    return LabelledMasks(
        samples=kept.samples,
        in_data=len(dataset.samples),
        notes=(*left_out, *dataset.notes, *notes),
        names=dataset.names,
        class_of=class_of,
    )
