"""A graph's outputs -> detections or shares, on the host: threshold, class-aware NMS, softmax or sigmoid."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.arguments import whole_number
from pvt_edge.errors import RuntimeInputError, described
from pvt_edge.label_names import Classes, class_ids

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec

MIN_SIDE = 0.01  # pixels: results are written in hundredths, in which less is no area


class Detections(NamedTuple):
    """Boxes of one image, best first: xyxy (n, 4) float32, conf (n,) float32 in 0..1, cls (n,) int64."""

    xyxy: NDArray[np.float32]
    conf: NDArray[np.float32]
    cls: NDArray[np.int64]


@dataclass(frozen=True)
class Thresholds:
    """What `select` keeps: scores above `conf`, overlaps up to `iou`, `max_det` boxes, `classes` or all."""

    conf: float
    iou: float
    max_det: int
    classes: tuple[int, ...] | None = None


def choose_thresholds(
    spec: "PostprocessSpec",
    names: Sequence[str],
    *,
    conf: float | None = None,
    iou: float | None = None,
    max_det: int | None = None,
    classes: Classes | None = None,
) -> Thresholds:
    """The bundle's thresholds `spec`, with what the caller gives in their place; classes by name or id.

    Raises `RuntimeInputError` for a number out of range, and for classes what `class_ids` raises.
    """
    for name, value in (("conf", conf), ("iou", iou)):
        if value is not None and (
            isinstance(value, bool)
            or not (isinstance(value, (int, float, np.integer, np.floating)) and 0 <= value <= 1)
        ):
            raise RuntimeInputError(
                f"{name} must be a number from 0 to 1, or None for the bundle's; got {described(value)}"
            )
    if max_det is not None and (whole_number(max_det) or 0) < 1:
        raise RuntimeInputError(
            f"max_det must be a whole number from 1, or None for the bundle's; got {described(max_det)}"
        )
    return Thresholds(
        spec.conf if conf is None else float(conf),
        spec.iou if iou is None else float(iou),
        spec.max_det if max_det is None else int(max_det),
        None if classes is None else class_ids(classes, names),
    )


def select(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    conf: float,
    iou: float,
    max_det: int,
    classes: Collection[int] | None = None,
) -> Detections:
    """Detections among candidates `boxes` xyxy (N, 4), `scores` (N,), `labels` (N,) of one image.

    Keeps scores strictly above `conf` and boxes that have an area, drops a box that overlaps a better one of its
    class by more than `iou`, and returns the `max_det` best. What is not finite is no box.
    """
    import cv2

    finite = np.isfinite(scores) & np.isfinite(boxes).all(axis=1)
    boxes = np.where(finite[:, None], boxes, 0)
    keep = finite & (scores > conf) & (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE).all(axis=1)
    if classes is not None:
        keep &= np.isin(labels, list(classes))
    boxes, scores, labels = boxes[keep], scores[keep], labels[keep].astype(np.int64)
    if len(boxes) == 0:
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    xywh = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1).astype(np.float64)
    # OpenCV shifts each class beyond the largest coordinate; boxes below zero would still meet another class.
    xywh[:, :2] -= xywh[:, :2].min(axis=0)
    picked = cv2.dnn.NMSBoxesBatched(xywh.tolist(), scores.tolist(), labels.tolist(), conf, iou)
    order = np.asarray(picked, np.int64).reshape(-1)[:max_det]  # best first
    return Detections(boxes[order].astype(np.float32), scores[order].astype(np.float32), labels[order])


def class_shares(logits: NDArray[np.floating], activation: str = "softmax") -> NDArray[np.float32]:
    """The shares (..., K) in 0..1 of logits (..., K), by softmax or, each class for itself, by sigmoid.

    One class alone is always by sigmoid: it is trained so (binary cross-entropy), and its softmax is always 1.
    """
    if activation == "softmax" and logits.shape[-1] > 1:
        return softmax(logits)
    return softmax(against_rest(np.asarray(logits)[..., None]))[..., 1]


def against_rest(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Logits (..., K), but (..., 2) for one class alone, of which the first stands for "not this one" and is 0."""
    return logits if logits.shape[-1] > 1 else np.concatenate((np.zeros_like(logits), logits), axis=-1)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Shares (..., K) that add up to 1 over the last axis, of logits (..., K)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
