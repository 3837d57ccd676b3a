"""What accuracy is judged by: agreement with FP32 on any pictures, or AP and top-1 where there are labels."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import ExportError, PictureWarning
from pvt_edge.export.precision.record import Metric
from pvt_edge.tasks import agreement, get_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.metrics.labelled import Labelled, Scores
    from pvt_edge.pixel_depth import PixelMax
    from pvt_edge.resizing import Placement


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

    def judge(self, outputs: "Sequence[Arrays]") -> tuple[float, dict[str, float]]:
        """The metric's value, and how far the outputs agree with `reference`."""
        return self.value(outputs), agreement(self.task, outputs, self.reference, self.post or PostprocessSpec())

    def first(self, count: int) -> "Judge":
        """The same on the first `count` pictures."""
        return replace(self, inputs=self.inputs[:count], reference=self.reference[:count])


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
    """The first figure of `val` on labelled pictures: COCO AP, top-1."""

    kind: Metric | None = None
    labelled: "Labelled[Any] | None" = None
    placements: "tuple[Placement, ...]" = ()
    labels: tuple[str, ...] = ()

    @property
    def metric(self) -> Metric:
        assert self.kind is not None
        return self.kind

    def value(self, outputs: "Sequence[Arrays]") -> float:
        return next(iter(self._scores(outputs).figures.values()))

    def by_class(self, outputs: "Sequence[Arrays]") -> dict[str, float]:
        scores = self._scores(outputs)
        first = next(iter(scores.figures))
        return {name: figures[first] for name, figures in scores.classes.items() if first in figures}

    def _scores(self, outputs: "Sequence[Arrays]") -> "Scores":
        from pvt_edge.evaluation.arrays import score_arrays

        assert self.labelled is not None
        return score_arrays(get_task(self.task), self.labelled, outputs, self.placements, self.labels)


def box_judge(
    annotations: str | Path,
    images: str | Path,
    labels: Sequence[str],
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    post: "PostprocessSpec",
    data: str | None = None,
    pixel_max: "PixelMax" = None,
    part: slice = ALL,
) -> LabelledJudge:
    """AP on a COCO file and (a `part` of) its pictures; what is odd in it is a `PictureWarning`.

    Raises `DataError`, or `ExportError` where its classes are not `labels`.
    """
    from pvt_edge.data.coco import read_coco

    dataset = read_coco(Path(annotations), Path(images))
    if list(dataset.names) != list(labels):
        raise ExportError(
            f"the classes of {annotations} are not the model's, in its order: "
            f"{', '.join(dataset.names[:5])} ... against {', '.join(labels[:5])} ..."
        )
    for note in dataset.notes:
        warnings.warn(f"{annotations}: {note}", PictureWarning, stacklevel=2)
    dataset = dataset.take(range(len(dataset.samples))[part])
    task = get_task("detect")
    labelled = task.judge(dataset, labels, task.judged_at(post, labels))
    words = data or f"{len(labelled.samples)} labelled pictures of {annotations}"
    kind = Metric(name="map", words="AP", data=words)
    return _labelled_judge("detect", post, kind, labelled, labels, imgsz, resize, pixel_max)


def top1_judge(
    folder: str | Path,
    labels: Sequence[str],
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    *,
    pixel_max: "PixelMax" = None,
    part: slice = ALL,
) -> LabelledJudge:
    """Top-1 on a folder with one sub-folder a class, or a `part` of its pictures; raises `DataError`."""
    from pvt_edge.data.image_folder import read_image_folder

    dataset = read_image_folder(folder, labels)
    dataset = dataset.take(range(len(dataset.samples))[part])
    labelled = get_task("classify").judge(dataset, labels, None)
    words = f"{len(labelled.samples)} labelled pictures of {folder}"
    kind = Metric(name="top1", words="top-1", data=words)
    return _labelled_judge("classify", None, kind, labelled, labels, imgsz, resize, pixel_max)


def _labelled_judge(
    task: str,
    post: "PostprocessSpec | None",
    kind: Metric,
    labelled: "Labelled[Any]",
    labels: Sequence[str],
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    pixel_max: "PixelMax",
) -> LabelledJudge:
    """A judge that has the pictures as the graph takes them."""
    from pvt_edge.sources import read_image

    fitted = [_fit(read_image(sample.path, pixel_max=pixel_max), imgsz, resize) for sample in labelled.samples]
    inputs, placements = tuple(image for image, _ in fitted), tuple(placement for _, placement in fitted)
    return LabelledJudge(
        inputs, task, post, kind.data, kind=kind, labelled=labelled, placements=placements, labels=tuple(labels)
    )


def _fit(image: "NDArray[np.uint8]", imgsz: tuple[int, int], resize: "ResizeSpec") -> "tuple[Any, Placement]":
    from pvt_edge.resizing import apply, plan

    placement = plan((image.shape[0], image.shape[1]), imgsz, resize)
    return apply(image, placement, resize)[None], placement
