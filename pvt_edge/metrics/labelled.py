"""Labelled pictures for a model, and how answers to them are judged: the source of every figure that needs labels.

The classes of a data set and those of a model are matched by name.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from pvt_edge.data.labelled_set import HasPath, LabelledSet
from pvt_edge.errors import DataError
from pvt_edge.metrics.confusion import Confusion
from pvt_edge.metrics.curves import Curves

if TYPE_CHECKING:
    from typing_extensions import Self

    from pvt_edge.data.labelled_set import BoxSet

Answer: TypeAlias = Mapping[str, Any]  # the fields of `Result` that `Task.read` fills
S = TypeVar("S", bound=HasPath)
CONFUSION_CONF = 0.25  # where no bundle says otherwise
SHOWN_NAMES = 8  # classes that a message lists
SHOWN_PATHS = 3  # missing pictures likewise


@dataclass(frozen=True)
class Settings:
    """The thresholds that answers are judged at: scores above `conf`, overlaps up to `iou`, `max_det` a picture."""

    conf: float
    iou: float
    max_det: int


@dataclass(frozen=True)
class Scores:
    """What judging found.

    Attributes:
        figures: Fractions 0..1 by name, the most telling first; NaN where there is nothing to find.
        classes: Those of each class, by name, after the count of its "boxes", "pictures" or "pixels".
        notes: What is odd in the pictures, a line each.
        detections: Rows of COCO's results format, of a task that finds things.
        confusion: What is taken for what; None of a task without classes to be mistaken.
        curves: Precision and recall over the threshold; None where they say nothing.
    """

    figures: dict[str, float]
    classes: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()
    detections: "list[dict[str, Any]] | None" = None
    confusion: Confusion | None = None
    curves: Curves | None = None

    @property
    def by_class(self) -> dict[str, float]:
        """The figure of each class that the first of all is made of: the one behind its count."""
        return {name: [*figures.values()][1] for name, figures in self.classes.items()}


@dataclass(frozen=True, kw_only=True)
class Labelled(ABC, Generic[S]):
    """Pictures with labels that fit a model.

    Attributes:
        samples: The pictures, each with its label.
        in_data: How many the data has, before some were left out.
        notes: What is odd in the data, and what was left out.
        image_ids: Those that count, where not all of a COCO file's do.
        settings: The thresholds of the answers; None for a task without.
        classes: The ids of the model's classes that are judged; None for all.
        confusion_conf: The score above which what is found counts in the confusion matrix.
    """

    samples: tuple[S, ...]
    in_data: int
    notes: tuple[str, ...] = ()
    image_ids: tuple[int, ...] = ()
    settings: Settings | None = None
    classes: tuple[int, ...] | None = None
    confusion_conf: float = CONFUSION_CONF

    @abstractmethod
    def rate(self, sample: S, answer: Answer | None, image_hw: tuple[int, int]) -> Any:
        """What counts of the answer to one picture of `image_hw` pixels; None is one that is no number."""

    def brief(self) -> "Self":
        """The same for scores that only the first figures and those of classes are read of, where that is cheaper."""
        return self

    @abstractmethod
    def score(self, rated: Sequence[Any]) -> Scores:
        """The figures of the first so many pictures, one of `rate` each."""


def keep_present(
    dataset: LabelledSet[S], *, limit: int | None = None, skip: bool = False
) -> tuple[LabelledSet[S], list[str]]:
    """(the set's first pictures up to `limit` that are files, notes on those left out).

    Raises:
        DataError: With the count and the first few where pictures are missing, unless they are to be skipped; and where
            none is there.
    """
    count = len(dataset.samples) if limit is None else min(limit, len(dataset.samples))
    there, absent = [], []
    for i in range(count):
        path = dataset.samples[i].path
        if os.path.isfile(path):  # Path.is_file fails for names that no file can have
            there.append(i)
        else:
            absent.append(path)
    notes = [f"left out: {line}" for line in dataset.left_out]
    if not absent:
        return dataset.take(there), notes
    more = f" and {len(absent) - SHOWN_PATHS} more" if len(absent) > SHOWN_PATHS else ""
    text = f"{len(absent)} of {count} pictures are missing: {', '.join(map(str, absent[:SHOWN_PATHS]))}{more}"
    if not there:
        raise DataError(f"{text}: give their folder with --images")
    if not skip:
        raise DataError(f"{text}: give their folder with --images, or leave them out with --skip-missing")
    return dataset.take(there), [f"left out: {text}", *notes]


def match_classes(dataset: "BoxSet", labels: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """({class of the bundle: category id of the data set}, notes on classes that only one of them has).

    Raises `DataError` where boxes are of a class that the bundle does not know, or there is no box.
    """
    counts = dataset.counts()
    if not sum(counts.values()):
        raise DataError(f"{dataset.source} has no boxes in its {len(dataset.samples)} pictures: AP needs some")
    refuse_unknown_classes(dataset.source, counts, labels, "boxes")
    unknown = [name for name in dataset.names if name not in labels]
    absent = [label for label in labels if label not in dataset.names]
    empty = [name for name in dataset.names if not counts[name] and name in labels]
    notes = [
        (empty, f"classes without boxes: {_names(empty)}; they have no AP and do not count in the mean"),
        (unknown, f"categories that the bundle does not know, without boxes: {_names(unknown)}; left out"),
        (absent, f"classes that the data does not have: {_names(absent)}; what is found of them is left out"),
    ]
    ids = dict(zip(dataset.names, dataset.category_ids, strict=True))
    known = {i: ids[label] for i, label in enumerate(labels) if label in ids}
    return known, [line for names, line in notes if names]


def refuse_unknown_classes(source: Path, counts: Mapping[str, int], labels: Sequence[str], things: str) -> None:
    """Raise `DataError` where there are `things` of a class, by its name in `counts`, that the bundle does not know."""
    wrong = {name: count for name, count in counts.items() if count and name not in labels}
    if wrong:
        shown = ", ".join(f"{name!r} ({count} {things}{_nearest(name, labels)})" for name, count in _first(wrong))
        raise DataError(
            f"{source} has classes that the bundle does not know: {shown}; the bundle's are "
            f"{_names(labels)}: rename them there, or export again with --labels"
        )


def _nearest(name: str, labels: Sequence[str]) -> str:
    near = get_close_matches(name.lower(), [label.lower() for label in labels], n=1)
    found = [label for label in labels if near and label.lower() == near[0]]
    return f", did you mean {found[0]!r}?" if found else ""


def _first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return list(counts.items())[:SHOWN_NAMES]


def _names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + rest
