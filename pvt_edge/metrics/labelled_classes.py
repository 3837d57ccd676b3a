"""Top-1, top-5 and balanced accuracy of classes given to labelled pictures."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pvt_edge.data.labelled_set import ClassSample, ClassSet
from pvt_edge.metrics.confusion import confusion_of_classes
from pvt_edge.metrics.curves import Ranked, curves_of
from pvt_edge.metrics.labelled import Answer, Labelled, Scores, keep_present

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CURVES = 100  # classes: nobody reads a thousand curves, whose shares would fill the memory


def shares(places: "Sequence[float]") -> dict[str, float]:
    """The shares 0..1 of places, at least one, that are the first, "top1", and among the first five, "top5"."""
    return {f"top{n}": sum(place < n for place in places) / len(places) for n in (1, 5)}


def place(logits: "NDArray[Any]", label: int) -> float:
    """The place of a class among logits or shares (K,), the best 0; equals in their order, as in `Probs`.

    Infinity where they are not all finite, and for one class alone unless its logit is positive.
    """
    if len(logits) == 1 and not logits[0] > 0:
        return inf
    if not np.isfinite(logits).all():
        return inf
    return int(np.argsort(-logits, kind="stable").tolist().index(label))


class Rated(NamedTuple):
    """What counts of the answer to a picture: the `place` of the right class, the best 0; the class it was taken for,
    None where the answer is no number; the share of each class (K,), None where there are too many."""

    place: float
    found: int | None = None
    shares: "NDArray[np.float32] | None" = None


@dataclass(frozen=True, kw_only=True)
class LabelledClasses(Labelled[ClassSample]):
    """Pictures with a class of `labels` each."""

    labels: tuple[str, ...]

    def rate(self, sample: ClassSample, answer: Answer | None, image_hw: tuple[int, int]) -> Rated:
        if answer is None:
            return Rated(inf)
        data = answer["probs"].data
        found = answer["probs"].top1 if len(data) > 1 or data[0] > 0.5 else 1  # one class alone may be none
        shares = data if len(data) <= MOST_CURVES else None
        return Rated(place(data if len(data) > 1 else data - 0.5, sample.label), found, shares)

    def score(self, rated: Sequence[Any]) -> Scores:
        """ "top1" and "top5" of all pictures, and "balanced": the mean of each class's own top-1."""
        places: defaultdict[int, list[float]] = defaultdict(list)
        for sample, one in zip(self.samples, rated, strict=False):
            places[sample.label].append(one.place)
        by_class = {i: shares(found) for i, found in sorted(places.items())}
        balanced = sum(found["top1"] for found in by_class.values()) / len(by_class)
        classes = {self.labels[i]: {"pictures": float(len(places[i])), **found} for i, found in by_class.items()}
        answered = [
            (sample.label, one) for sample, one in zip(self.samples, rated, strict=False) if one.found is not None
        ]
        labels = np.array([label for label, _ in answered], np.int64)
        return Scores(
            {**shares([one.place for one in rated]), "balanced": balanced},
            classes,
            confusion=confusion_of_classes(self.labels, labels.tolist(), [one.found for _, one in answered]),
            curves=curves_of(self._ranked(labels, [one.shares for _, one in answered if one.shares is not None])),
        )

    def _ranked(self, labels: "NDArray[np.int64]", shares: "Sequence[NDArray[np.float32]]") -> dict[str, Ranked]:
        """Each class against the rest."""
        if not shares:
            return {}
        table = np.stack(shares)  # (pictures, classes)
        return {name: Ranked(table[:, i], labels == i, int((labels == i).sum())) for i, name in enumerate(self.labels)}


def judge_classes(
    dataset: ClassSet, labels: Sequence[str], *, limit: int | None = None, skip: bool = False
) -> LabelledClasses:
    """The pictures of a data set for a model of the classes `labels`. Raises `DataError` where pictures are missing."""
    kept, notes = keep_present(dataset, limit=limit, skip=skip)
    shown = {sample.label for sample in kept.samples}
    if len(shown) < len(labels):
        notes.append(f"classes without pictures: {len(labels) - len(shown)} of {len(labels)}")
    return LabelledClasses(samples=kept.samples, in_data=len(dataset.samples), notes=tuple(notes), labels=tuple(labels))
