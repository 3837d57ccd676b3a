"""Top-1, top-5 and balanced accuracy of classes given to labelled pictures."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from pvt_edge.data.labelled_set import ClassSample, ClassSet
from pvt_edge.metrics.labelled import Answer, Labelled, Scores, keep_present
from pvt_edge.metrics.top1 import place, shares


@dataclass(frozen=True, kw_only=True)
class LabelledClasses(Labelled[ClassSample]):
    """Pictures with a class of `labels` each."""

    labels: tuple[str, ...]

    def rate(self, sample: ClassSample, answer: Answer | None, image_hw: tuple[int, int]) -> float:
        """The place of the right class among the shares, the best 0."""
        if answer is None:
            return inf
        data = answer["probs"].data
        return place(data if len(data) > 1 else data - 0.5, sample.label)

    def score(self, rated: Sequence[Any]) -> Scores:
        """ "top1" and "top5" of all pictures, and "balanced": the mean of each class's own top-1."""
        places: defaultdict[int, list[float]] = defaultdict(list)
        for sample, found in zip(self.samples, rated, strict=False):
            places[sample.label].append(found)
        by_class = {i: shares(found) for i, found in sorted(places.items())}
        balanced = sum(found["top1"] for found in by_class.values()) / len(by_class)
        classes = {self.labels[i]: {"pictures": float(len(places[i])), **found} for i, found in by_class.items()}
        return Scores({**shares([*rated]), "balanced": balanced}, classes)


def judge_classes(
    dataset: ClassSet, labels: Sequence[str], *, limit: int | None = None, skip: bool = False
) -> LabelledClasses:
    """The pictures of a data set for a model of the classes `labels`. Raises `DataError` where pictures are missing."""
    kept, notes = keep_present(dataset, limit=limit, skip=skip)
    shown = {sample.label for sample in kept.samples}
    if len(shown) < len(labels):
        notes.append(f"classes without pictures: {len(labels) - len(shown)} of {len(labels)}")
    return LabelledClasses(samples=kept.samples, in_data=len(dataset.samples), notes=tuple(notes), labels=tuple(labels))
