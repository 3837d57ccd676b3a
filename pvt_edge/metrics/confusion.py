"""What is taken for what: a table of the classes that there are and those that were found."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MATCH_IOU = 0.5  # from which on a box is that of a labelled one, as AP50 has it
NOTHING = "nothing"


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was taken for each.

    Attributes:
        names: Of the rows and columns; of a task that finds things the last is "nothing".
        counts: (n, n) int64, what there is by row and what it was taken for by column. In the row of nothing is what
            was found where there is none, in its column what was missed.
        conf: The score above which what is found counts; None where there is no such threshold.
        iou: The overlap from which on it is found; None likewise.
    """

    names: tuple[str, ...]
    counts: "NDArray[np.int64]"
    conf: float | None = None
    iou: float | None = None


def confusion_of_classes(names: Sequence[str], labels: Sequence[int], found: Sequence[int]) -> Confusion:
    """The table of pictures with one of `labels` each, 0..n-1, and the class `found` for it, of which n is nothing."""
    n = len(names)
    size = max([n, *(number + 1 for number in found)])
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (np.asarray(labels, np.int64), np.asarray(found, np.int64)), 1)
    return Confusion((*names, *[NOTHING] * (size - n)), counts)


def confusion_of_boxes(
    names: Mapping[int, str],
    annotations: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    image_ids: Sequence[int],
    conf: float,
) -> Confusion:
    """The table of the boxes in the images named.

    Each box found takes, the surest first, the labelled one of any class that it overlaps most, from an IoU of 0.5 on.
    One that takes none but lies in a crowd of its class counts nowhere, as COCO has it.

    Args:
        names: Category id -> name, of the classes that are judged.
        annotations: Of a COCO file.
        found: Rows of COCO's results format, of these categories.
        image_ids: The images that count.
        conf: The score above which a box counts as found.
    """
    place = {category: i for i, category in enumerate(names)}
    counts = np.zeros((len(names) + 1, len(names) + 1), np.int64)
    truths = _by_image([row for row in annotations if row["category_id"] in place], image_ids)
    answers = _by_image([row for row in found if row["score"] > conf], image_ids)
    for image_id in image_ids:
        _count(counts, truths[image_id], answers[image_id], place)
    return Confusion((*names.values(), NOTHING), counts, conf, MATCH_IOU)


def _by_image(rows: Sequence[Mapping[str, Any]], image_ids: Sequence[int]) -> dict[int, list[Mapping[str, Any]]]:
    grouped: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["image_id"]].append(row)
    return {image_id: grouped[image_id] for image_id in image_ids}


def _count(
    counts: "NDArray[np.int64]",
    truths: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    place: Mapping[int, int],
) -> None:
    """Add one image to the table."""
    nothing = len(place)
    crowds = [bool(row.get("iscrowd", 0)) for row in truths]
    overlaps = _overlaps(found, truths, crowds)
    left = {i for i, crowd in enumerate(crowds) if not crowd}
    for i in sorted(range(len(found)), key=lambda i: -found[i]["score"]):
        category = found[i]["category_id"]
        best = max(sorted(left), key=overlaps[i].__getitem__, default=None)
        if best is not None and overlaps[i, best] >= MATCH_IOU:
            left.discard(best)
            counts[place[truths[best]["category_id"]], place[category]] += 1
        elif not any(
            crowd and row["category_id"] == category and overlap >= MATCH_IOU
            for row, crowd, overlap in zip(truths, crowds, overlaps[i], strict=True)
        ):
            counts[nothing, place[category]] += 1
    for missed in left:
        counts[place[truths[missed]["category_id"]], nothing] += 1


def _overlaps(
    found: Sequence[Mapping[str, Any]], truths: Sequence[Mapping[str, Any]], crowds: Sequence[bool]
) -> "NDArray[np.float64]":
    """IoU (found, truths), with a crowd the share of the found box that lies in it."""
    from pycocotools.mask import iou

    if not found or not truths:
        return np.zeros((len(found), len(truths)))
    sides = [np.array([row["bbox"] for row in rows], np.float64) for rows in (found, truths)]
    return np.asarray(iou(*sides, [int(crowd) for crowd in crowds]))
