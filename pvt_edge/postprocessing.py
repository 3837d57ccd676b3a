"""Candidates of a detector -> detections, on the host: threshold, class-aware NMS, the best few."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray


class Detections(NamedTuple):
    """Boxes of one image, best first: xyxy (n, 4) float32, conf (n,) float32 in 0..1, cls (n,) int64."""

    xyxy: "NDArray[np.float32]"
    conf: "NDArray[np.float32]"
    cls: "NDArray[np.int64]"


def select(
    boxes: "NDArray[np.float32]",
    scores: "NDArray[np.float32]",
    labels: "NDArray[np.int64]",
    *,
    conf: float,
    iou: float,
    max_det: int,
    classes: "Collection[int] | None" = None,
) -> Detections:
    """Detections among candidates `boxes` xyxy (N, 4), `scores` (N,), `labels` (N,) of one image.

    Keeps scores strictly above `conf` and boxes of positive size (mmdet's test_cfg), drops a box that overlaps
    a better one of its class by more than `iou`, and returns the `max_det` best.
    """
    import cv2

    keep = (scores > conf) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if classes is not None:
        keep &= np.isin(labels, list(classes))
    boxes, scores, labels = boxes[keep], scores[keep], labels[keep].astype(np.int64)
    if len(boxes) == 0:
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    xywh = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)
    picked = cv2.dnn.NMSBoxesBatched(xywh.tolist(), scores.tolist(), labels.tolist(), conf, iou)
    picked = np.asarray(picked, np.int64).reshape(-1)
    order = picked[np.argsort(-scores[picked], kind="stable")][:max_det]
    return Detections(boxes[order].astype(np.float32), scores[order].astype(np.float32), labels[order])
