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
from pvt_edge.metrics.top1 import place
from pvt_edge.tasks import agreement, get_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.data.coco import CocoDataset, Sample
    from pvt_edge.pixel_depth import PixelMax
    from pvt_edge.resizing import Placement


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
class BoxJudge(Judge):
    """COCO AP on labelled pictures."""

    dataset: "CocoDataset | None" = None
    samples: "tuple[tuple[Sample, Placement], ...]" = ()

    @property
    def metric(self) -> Metric:
        return Metric(name="map", words="AP", data=self.data)

    def value(self, outputs: "Sequence[Arrays]") -> float:
        from pvt_edge.metrics.average_precision import average_precision
        from pvt_edge.metrics.detector import found_in

        assert self.dataset is not None and self.post is not None
        pairs = zip(self.samples, outputs, strict=False)  # `first` keeps fewer outputs than samples
        found = [(sample.image_id, found_in(arrays, placement, self.post)) for (sample, placement), arrays in pairs]
        return average_precision(self.dataset, found)["AP"]


@dataclass(frozen=True)
class Top1Judge(Judge):
    """Top-1 accuracy on pictures sorted into one folder a class."""

    truth: tuple[int, ...] = ()

    @property
    def metric(self) -> Metric:
        return Metric(name="top1", words="top-1", data=self.data)

    def value(self, outputs: "Sequence[Arrays]") -> float:
        found = zip(outputs, self.truth, strict=False)
        return float(np.mean([place(arrays["logits"][0], want) == 0 for arrays, want in found]))


def box_judge(
    annotations: str | Path,
    images: str | Path,
    labels: Sequence[str],
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    post: "PostprocessSpec",
    data: str | None = None,
    pixel_max: "PixelMax" = None,
) -> BoxJudge:
    """AP on a COCO file and its pictures; what is odd in it is a `PictureWarning`.

    Raises `DataError`, or `ExportError` where its classes are not `labels`.
    """
    from pvt_edge.data.coco import read_coco
    from pvt_edge.sources import read_image

    dataset = read_coco(Path(annotations), Path(images))
    if list(dataset.names) != list(labels):
        raise ExportError(
            f"the classes of {annotations} are not the model's, in its order: "
            f"{', '.join(dataset.names[:5])} ... against {', '.join(labels[:5])} ..."
        )
    for note in dataset.notes:
        warnings.warn(f"{annotations}: {note}", PictureWarning, stacklevel=2)
    inputs, samples = [], []
    for sample in dataset.samples:
        fitted, placement = _fit(read_image(sample.path, pixel_max=pixel_max), imgsz, resize)
        inputs.append(fitted)
        samples.append((sample, placement))
    words = data or f"{len(inputs)} labelled pictures of {annotations}"
    return BoxJudge(tuple(inputs), "detect", post, words, dataset=dataset, samples=tuple(samples))


def top1_judge(
    folder: str | Path,
    labels: Sequence[str],
    imgsz: tuple[int, int],
    resize: "ResizeSpec",
    *,
    pixel_max: "PixelMax" = None,
) -> Top1Judge:
    """Top-1 on a folder with one sub-folder a class; raises `DataError`."""
    from pvt_edge.data.image_folder import read_image_folder
    from pvt_edge.sources import read_image

    pictures = read_image_folder(folder, labels)
    inputs = tuple(_fit(read_image(path, pixel_max=pixel_max), imgsz, resize)[0] for path, _ in pictures.samples)
    words = f"{len(inputs)} labelled pictures of {folder}"
    return Top1Judge(inputs, "classify", None, words, truth=tuple(truth for _, truth in pictures.samples))


def _fit(image: "NDArray[np.uint8]", imgsz: tuple[int, int], resize: "ResizeSpec") -> "tuple[Any, Placement]":
    from pvt_edge.resizing import apply, plan

    placement = plan((image.shape[0], image.shape[1]), imgsz, resize)
    return apply(image, placement, resize)[None], placement
