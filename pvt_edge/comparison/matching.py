"""Which detections of one picture two sides have in common."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.comparison.vectors import is_finite
from pvt_edge.postprocessing import Detections, select

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec

    Arrays = Mapping[str, NDArray[Any]]

MATCH_IOU = 0.5  # as AP50 has it
CONF_SLACK = 0.05  # a partner may score this much below the threshold
LEAST_CONF = 0.01  # below it candidates are noise, and any box would find a partner


class Matches(NamedTuple):
    """The detections of one picture above the threshold, how many of them are matched, and each pair's difference
    in (score, pixels).

    `sides` are those found and the reference's, the ones just below the threshold last, None where one side is not
    finite; `pairs` index them. The first `n_found` and `n_reference` of them are above it.
    """

    n_found: int
    n_reference: int
    matched_found: int
    matched_reference: int
    drifts: list[tuple[float, float]]
    pairs: list[tuple[int, int]]
    sides: tuple[Detections, Detections] | None


def match_detections(got: "Arrays", want: "Arrays", post: "PostprocessSpec") -> Matches:
    """Which detections of one picture both sides have, each thresholded by `post`.

    A detection is matched when the other side has one of its class at an IoU of at least 0.5, one to one, the
    largest IoU first. At the threshold a change of 0.001 in score would make a detection that both sides see a lost
    one; so what one side detects above `post.conf` may match what the other scores up to 0.05 below it (never below
    0.01), and the two directions are counted apart.
    """
    sides = [_select(arrays, post) for arrays in (got, want) if is_finite(*arrays.values())]
    above = [int((side.conf > post.conf).sum()) for side in sides]
    if len(sides) < 2:  # not finite: all that the other side has is lost, and at least one, so that it shows
        lost = max([1, *above])
        return Matches(lost, lost, 0, 0, [], [], None)
    (a, b), (n_found, n_reference) = sides, above
    overlap = _overlap(a, b)
    # Detections come best first, and NMS never drops one for a worse one: those above the threshold lead.
    of_found = _pair_greedily(overlap[:n_found])
    of_reference = _pair_greedily(overlap[:, :n_reference])
    pairs = sorted(of_found | of_reference)
    drifts = [(abs(float(a.conf[i]) - float(b.conf[j])), float(np.abs(a.xyxy[i] - b.xyxy[j]).max())) for i, j in pairs]
    return Matches(n_found, n_reference, len(of_found), len(of_reference), drifts, pairs, (a, b))


def _select(arrays: "Arrays", post: "PostprocessSpec") -> Detections:
    """The detections of one picture, those just below the threshold too."""
    conf = min(post.conf, max(post.conf - CONF_SLACK, LEAST_CONF))
    boxes, scores, labels = (arrays[name][0] for name in ("boxes", "scores", "labels"))
    return select(boxes, scores, labels, conf=conf, iou=post.iou, max_det=post.max_det)


def _overlap(a: Detections, b: Detections) -> NDArray[np.float64]:
    """IoU (n, m) of n and m detections; 0 where their classes differ."""
    first, second = a.xyxy[:, None].astype(np.float64), b.xyxy[None].astype(np.float64)  # (n, 1, 4), (1, m, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = sides.clip(min=0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    return np.where(a.cls[:, None] == b.cls, shared / (areas[0] + areas[1] - shared), 0.0)


def _pair_greedily(overlap: NDArray[np.float64]) -> set[tuple[int, int]]:
    """One-to-one pairs (row, column) of `overlap` (n, m), the largest first; of equals, that of the best scores."""
    rows, columns = np.nonzero(overlap >= MATCH_IOU)
    order = np.argsort(-overlap[rows, columns], kind="stable")
    partners: dict[int, int] = {}
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if i not in partners and j not in partners.values():
            partners[i] = j
    return set(partners.items())
