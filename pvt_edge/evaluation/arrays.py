"""The figures of a graph's outputs, where there is no bundle yet: at an export and in training."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.metrics.labelled import Answer, Labelled, Scores
from pvt_edge.pictures.resizing import Placement, apply, plan
from pvt_edge.postprocessing import choose_thresholds
from pvt_edge.tasks.task import Classes, Task

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.postprocessing import Thresholds
    from pvt_edge.runtimes import Runtime


def score_arrays(
    task: Task,
    labelled: Labelled[Any],
    outputs: "Sequence[Arrays]",
    placements: Sequence[Placement],
    labels: Sequence[str],
) -> Scores:
    """The figures of outputs to the first so many pictures, judged as `val` judges them.

    Args:
        task: What the model is for.
        labelled: The pictures with their labels.
        outputs: What `Runtime.infer` gives, one mapping a picture, with a batch axis of 1.
        placements: How each picture lies in the input.
        labels: The model's classes.

    Returns:
        The scores; an answer that is not finite counts as none.
    """
    thresholds = _thresholds(labelled, labels)
    rated = []
    for sample, arrays, placement in zip(labelled.samples, outputs, placements, strict=False):
        answer = _answer(task, arrays, placement, thresholds, labels)
        rated.append(labelled.rate(sample, answer, placement.orig_hw))
    return labelled.score(rated)


def answers_of(
    task: Task,
    labelled: Labelled[Any],
    runtime: "Runtime",
    resize: "ResizeSpec",
    labels: Sequence[str],
    *,
    batch: int = 1,
) -> "Iterator[tuple[Any, Answer | None, tuple[int, int]]]":
    """(a picture with its label, the answer to it, its size (height, width)), one after the other.

    `batch` is how many go in at once where the input leaves it free.
    """
    from pvt_edge.sources import read_image

    thresholds = _thresholds(labelled, labels)
    spec = runtime.inputs[0]
    fixed, height, width, _ = spec.shape
    size = fixed if fixed > 0 else batch
    for start in range(0, len(labelled.samples), size):
        group = labelled.samples[start : start + size]
        inputs, placements = [], []
        for sample in group:
            image = read_image(sample.path)
            placements.append(plan((image.shape[0], image.shape[1]), (height, width), resize))
            inputs.append(apply(image, placements[-1], resize))
        inputs += [inputs[-1]] * (max(fixed, 0) - len(inputs))  # a static batch is filled up with the last picture
        arrays = runtime.infer({spec.name: np.stack(inputs)})
        for i, (sample, placement) in enumerate(zip(group, placements, strict=True)):
            row = {name: array[i : i + 1] for name, array in arrays.items()}
            yield sample, _answer(task, row, placement, thresholds, labels), placement.orig_hw


def _answer(
    task: Task, arrays: "Arrays", placement: Placement, thresholds: "Thresholds", labels: Sequence[str]
) -> Answer | None:
    """What a row of outputs says; None where it is not finite."""
    row = {name: array[0] for name, array in arrays.items()}
    if not all(np.isfinite(array).all() for array in row.values() if np.issubdtype(array.dtype, np.floating)):
        return None
    return task.read(row, placement, thresholds, Classes(tuple(labels)))


def _thresholds(labelled: Labelled[Any], labels: Sequence[str]) -> "Thresholds":
    settings = labelled.settings
    if settings is None:
        return choose_thresholds(PostprocessSpec(), labels)
    classes = None if labelled.classes is None else list(labelled.classes)
    return choose_thresholds(
        PostprocessSpec(), labels, conf=settings.conf, iou=settings.iou, max_det=settings.max_det, classes=classes
    )
