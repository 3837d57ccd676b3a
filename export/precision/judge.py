"""What accuracy is judged by: agreement with FP32 on any pictures, or AP and top-1 where there are labels."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import DataError, ExportError, PictureWarning, storable
from pvt_edge.export.precision.record import Metric
from pvt_edge.tasks import agreement, get_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.metrics.labelled import Labelled, Scores
    from pvt_edge.pictures.resizing import PixelMax, Placement

ALL = slice(None)


@dataclass(frozen=True)
class Judge(ABC):
    """Pictures as the graph takes them, (1, H, W, 3) each, and how good outputs on them are."""

    inputs: "tuple[NDArray[np.uint8], ...]"
    task: str
    post: "PostprocessSpec | None"
    data: str  # what the pictures are, in words
    reference: "tuple[Arrays, ...]" = ()  # what fp32 gives on them

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """What `judge` gives the value of."""

    @abstractmethod
    def value(self, outputs: "Sequence[Arrays]") -> float:
        """The metric of outputs, one mapping a picture."""

    def by_class(self, outputs: "Sequence[Arrays]") -> dict[str, float]:
        """The metric of each class, NaN for one that no picture shows; empty where it knows no classes."""
        return {}

    def rate(self, outputs: "Sequence[Arrays]") -> tuple[float, dict[str, float]]:
        """`value` and `by_class`."""
        return self.value(outputs), self.by_class(outputs)

    def judge(self, outputs: "Sequence[Arrays]") -> tuple[float, dict[str, float]]:
        """The metric's value, and how far the outputs agree with `reference`."""
        return self.value(outputs), agreement(self.task, outputs, self.reference, self.post or PostprocessSpec())

    def few(self, count: int) -> "Judge":
        """The same on at most `count` of the pictures, from all over them: classes often follow each other."""
        chosen = self._spread(count)
        return replace(
            self,
            inputs=tuple(self.inputs[i] for i in chosen),
            reference=tuple(self.reference[i] for i in chosen) if self.reference else (),
        )

    def _spread(self, count: int) -> "list[int]":
        total = len(self.inputs)
        return [i * total // count for i in range(count)] if total > count else [*range(total)]


def lost(before: float, after: float) -> float:
    """How much lower a figure is `after`; 0 where nothing on the pictures said it `before`."""
    return 0.0 if math.isnan(before) else before - after


@dataclass(frozen=True)
class AgreementJudge(Judge):
    """No labels: agreement itself is the value, 1.0 for outputs that are fp32's."""

    @property
    def metric(self) -> Metric:
        return Metric(name="agreement", words=get_task(self.task).agreement_words, data=self.data)

    def value(self, outputs: "Sequence[Arrays]") -> float:
        return agreement(self.task, outputs, self.reference, self.post or PostprocessSpec())["agreement"]


@dataclass(frozen=True)
class LabelledJudge(Judge):
    """The first figure of `val` on labelled pictures: COCO AP, top-1, mIoU."""

    kind: Metric | None = None
    labelled: "Labelled[Any] | None" = None
    placements: "tuple[Placement, ...]" = ()
    labels: tuple[str, ...] = ()

    @property
    def metric(self) -> Metric:
        assert self.kind is not None
        return self.kind

    def value(self, outputs: "Sequence[Arrays]") -> float:
        return next(iter(self.scores(outputs).figures.values()))

    def by_class(self, outputs: "Sequence[Arrays]") -> dict[str, float]:
        return self.rate(outputs)[1]

    def rate(self, outputs: "Sequence[Arrays]") -> tuple[float, dict[str, float]]:
        scores, unseen = self.scores(outputs), dict.fromkeys(self.labels, math.nan)
        return next(iter(scores.figures.values())), unseen | scores.by_class

    def few(self, count: int) -> "LabelledJudge":
        chosen = self._spread(count)
        assert self.labelled is not None
        return replace(
            cast("LabelledJudge", super().few(count)),
            labelled=replace(self.labelled, samples=tuple(self.labelled.samples[i] for i in chosen)),
            placements=tuple(self.placements[i] for i in chosen),
        )

    def scores(self, outputs: "Sequence[Arrays]") -> "Scores":
        """All of `val`'s figures."""
        from pvt_edge.evaluation.arrays import score_arrays

        assert self.labelled is not None
        return score_arrays(get_task(self.task), self.labelled, outputs, self.placements, self.labels)


def labelled_judge(
    task: str,
    data: str | Path,
    images: str | Path | None,
    labels: Sequence[str],
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    post: "PostprocessSpec | None",
    *,
    words: str | None = None,
    pixel_max: "PixelMax" = None,
    part: slice = ALL,
) -> LabelledJudge:
    """The task's metric on labelled pictures, or a `part` of them; what is odd in them is a `PictureWarning`.

    Args:
        task: The task's name.
        data: Labelled pictures as `val` takes them.
        images: The folder of a file's pictures.
        labels: The model's classes.
        imgsz: (height, width) of its input.
        resize: How pictures become that.
        post: A detector's thresholds.
        words: What the pictures are; by default how many there are, and where.
        pixel_max: As of `pvt_edge.load`.
        part: Of the pictures, in their order.

    Raises:
        DataError: For data that is broken.
        ExportError: Where its classes are not `labels`, or the task has no metric.
    """
    from pvt_edge.sources import read_image

    kind = get_task(task)
    if kind.metric is None:
        raise ExportError(f"{task} is judged by agreement alone: leave --data out, or take --metric agreement")
    dataset, _ = kind.read_labels(Path(data), None if images is None else Path(images), labels=labels)
    if list(dataset.names) != list(labels):
        raise ExportError(
            f"the classes of {data} are not the model's, in its order: "
            f"{', '.join(dataset.names[:5])} ... against {', '.join(labels[:5])} ..."
        )
    for note in dataset.notes:
        warnings.warn(f"{data}: {note}", PictureWarning, stacklevel=2)
    dataset = dataset.take(range(len(dataset.samples))[part])
    if not dataset.samples:
        raise DataError(f"{data} has too few labelled pictures: none is left to judge by")
    labelled = kind.judge(dataset, labels, kind.judged_at(post, labels)).brief()
    fitted = [_fit(read_image(sample.path, pixel_max=pixel_max), imgsz, resize) for sample in labelled.samples]
    words = words or storable(f"{len(fitted)} labelled pictures of {data}")
    name, called = kind.metric
    return LabelledJudge(
        tuple(image for image, _ in fitted),
        task,
        post,
        words,
        kind=Metric(name=name, words=called, data=words),
        labelled=labelled,
        placements=tuple(placement for _, placement in fitted),
        labels=tuple(labels),
    )


def _fit(image: "NDArray[np.uint8]", imgsz: tuple[int, int], resize: "ResizeSpec") -> "tuple[Any, Placement]":
    from pvt_edge.pictures.resizing import apply, plan

    placement = plan((image.shape[0], image.shape[1]), imgsz, resize)
    return apply(image, placement, resize)[None], placement
