"""How precision and recall of each class trade over the score threshold, and which threshold serves best."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECALLS = np.linspace(0, 1, 101)  # at which COCO takes the precision
CONFS = np.linspace(0, 1, 101)  # at which F1 is drawn
FINE = 10  # the threshold is chosen among so many times as many


class Ranked(NamedTuple):
    """What was found of one class: `scores` (n,) in 0..1, whether each is right, `hits` (n,), and how many there are to
    be found, `positives`."""

    scores: "NDArray[np.floating]"
    hits: "NDArray[np.bool_]"
    positives: int


@dataclass(frozen=True)
class Best:
    """The threshold `conf` of the highest F1, and what it gives; scores above it count, as `--conf` has it."""

    conf: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, eq=False)
class Curve:
    """One class over all thresholds.

    Attributes:
        positives: How many there are to be found.
        ap: The mean of `precision`, which of boxes is COCO's AP50.
        best: The threshold that serves this class best.
        precision: (101,) the best precision at a recall of 0, 0.01 ... 1 or more, 0 where no threshold gives it.
        conf: (101,) the score down to which one goes for that recall, 0 likewise.
        f1: (101,) at the thresholds 0, 0.01 ... 1.
    """

    positives: int
    ap: float
    best: Best
    precision: "NDArray[np.float64]"
    conf: "NDArray[np.float64]"
    f1: "NDArray[np.float64]"


@dataclass(frozen=True)
class Curves:
    """The curve of each class that there is something of, by name; `best` is the one threshold for all of them, that of
    the highest mean F1, with the means of what it gives."""

    classes: dict[str, Curve]
    best: Best


def curves_of(ranked: Mapping[str, Ranked]) -> Curves | None:
    """The curves of classes by name; None where there is nothing to be found of any."""
    known = {name: found for name, found in ranked.items() if found.positives}
    if not known:
        return None
    confs = np.linspace(0, 1, FINE * (len(CONFS) - 1) + 1)
    sides = {name: _at(found, confs) for name, found in known.items()}  # (3, thresholds) each
    classes = {name: _curve(found, confs, sides[name]) for name, found in known.items()}
    return Curves(classes, _best(confs, np.mean([*sides.values()], axis=0)))


def _curve(found: Ranked, confs: "NDArray[np.float64]", sides: "NDArray[np.float64]") -> Curve:
    order = np.argsort(-found.scores, kind="mergesort")  # as pycocotools sorts
    hits = np.cumsum(found.hits[order])
    recall = hits / found.positives
    precision = hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(recall, RECALLS)  # beyond the last where no threshold gives the recall
    at = np.append(falling, 0.0)[first]
    scores = np.append(found.scores[order], 0.0)[first]
    return Curve(found.positives, float(at.mean()), _best(confs, sides), at, scores, sides[0, ::FINE])


def _at(found: Ranked, confs: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """F1, precision and recall (3, thresholds) of the scores above each threshold."""
    order = np.argsort(found.scores)
    below = np.searchsorted(found.scores[order], confs, side="right")
    kept = len(order) - below
    hits = np.append(np.cumsum(found.hits[order][::-1])[::-1], 0)[below]
    precision = hits / np.maximum(kept, 1)
    return np.stack((2 * hits / (kept + found.positives), precision, hits / found.positives))


def _best(confs: "NDArray[np.float64]", sides: "NDArray[np.float64]") -> Best:
    """The middle of the widest run of thresholds with the highest F1: the farthest from where it falls."""
    highest = np.flatnonzero(sides[0] >= sides[0].max() - 1e-12)
    runs = np.split(highest, np.flatnonzero(np.diff(highest) > 1) + 1)
    run = max(runs, key=len)
    at = int(run[(len(run) - 1) // 2])
    f1, precision, recall = sides[:, at].tolist()
    return Best(round(float(confs[at]), 4), f1, precision, recall)
