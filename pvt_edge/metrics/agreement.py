"""How far an artifact's answers agree with a reference's on the same pictures; no labels needed.

`found` and `reference` are what `Runtime.infer` gives, one mapping a picture, with a batch axis of 1. Every
figure is finite: a picture with NaN or infinity on either side counts as one without any agreement.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.postprocessing import Detections, against_rest, select, softmax

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec

Arrays = Mapping[str, NDArray[Any]]

TASKS = ("classify", "features", "detect")
MATCH_IOU = 0.5  # as AP50 has it
CONF_SLACK = 0.05  # a partner may score this much below the threshold
LEAST_CONF = 0.01  # below it candidates are noise, and any box would find a partner


def agreement(
    task: str, found: Sequence[Arrays], reference: Sequence[Arrays], post: "PostprocessSpec | None" = None
) -> dict[str, float]:
    """The figures of `task`, "classify", "features" or "detect"; "agreement", up to 1.0, is the one to judge by.

    `post` holds a detector's thresholds, those of `PostprocessSpec()` where None. Raises `UnknownNameError` for
    another task, `DataError` unless both sides are of the same pictures, at least one.
    """
    if task == "classify":
        return classification_agreement(found, reference)
    if task == "features":
        return features_agreement(found, reference)
    if task == "detect":
        from pvt_edge.bundle.schema import PostprocessSpec

        return detection_agreement(found, reference, post or PostprocessSpec())
    raise UnknownNameError("task", task, TASKS)


def classification_agreement(found: Sequence[Arrays], reference: Sequence[Arrays]) -> dict[str, float]:
    """What "logits" (1, K) say on both sides. Raises `DataError` as `agreement`.

    "agreement" and "top1_agreement": the share 0..1 of pictures with the same best class, the first of equals as
    a predictor has it; of one class alone, the same side of a half. "cosine" and "worst_cosine" of the logits, -1..1:
    mean and least over the pictures.
    """
    pairs = [(got["logits"][0], want["logits"][0]) for got, want in _pictures(found, reference)]
    same = [is_finite(got, want) and against_rest(got).argmax() == against_rest(want).argmax() for got, want in pairs]
    cosines = [logit_cosine(got, want) for got, want in pairs]
    share = float(np.mean(same))
    return {"agreement": share, "top1_agreement": share, **_mean_and_worst(cosines)}


def features_agreement(found: Sequence[Arrays], reference: Sequence[Arrays]) -> dict[str, float]:
    """Cosines, -1..1, of feature maps (1, C, h, w) of the same name. Raises `DataError` as `agreement`.

    "agreement" and "cosine": the mean over pictures and maps. "worst_cosine": the least of them.
    """
    cosines = []
    for got, want in _pictures(found, reference):
        usable = is_finite(*got.values(), *want.values())  # one broken map spoils the picture
        cosines += [cosine(got[name], value) if usable else 0.0 for name, value in want.items()]
    figures = _mean_and_worst(cosines)
    return {"agreement": figures["cosine"], **figures}


def detection_agreement(
    found: Sequence[Arrays], reference: Sequence[Arrays], post: "PostprocessSpec"
) -> dict[str, float]:
    """Do both sides detect the same? Each is thresholded by `post` in input pixels. Raises `DataError` as `agreement`.

    A detection is matched when the other side has one of its class at an IoU of at least 0.5, one to one, the
    largest IoU first. At the threshold a change of 0.001 in score would make a detection that both sides see a lost
    one; so what one side detects above `post.conf` may match what the other scores up to 0.05 below it (never below
    0.01), and the two directions are counted apart.

    "precision": the share 0..1 of the found that are matched, "recall": of the reference's, "f1" and "agreement": of
    both together, (matched_found + matched_reference) / (n_found + n_reference), each summed over all pictures and
    1.0 where there is nothing to match. "score_drift": mean |score difference| of the pairs, "box_drift_px": mean of
    their largest corner difference in pixels, both 0.0 without pairs.
    """
    pictures = [match_detections(got, want, post) for got, want in _pictures(found, reference)]
    matched_found, n_found = sum(p.matched_found for p in pictures), sum(p.n_found for p in pictures)
    matched_reference, n_reference = sum(p.matched_reference for p in pictures), sum(p.n_reference for p in pictures)
    drifts = [drift for p in pictures for drift in p.drifts]
    score_drift, box_drift_px = np.mean(drifts, axis=0).tolist() if drifts else (0.0, 0.0)
    f1 = _share(matched_found + matched_reference, n_found + n_reference)
    return {
        "agreement": f1,
        "f1": f1,
        "precision": _share(matched_found, n_found),
        "recall": _share(matched_reference, n_reference),
        "score_drift": score_drift,
        "box_drift_px": box_drift_px,
    }


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


def match_detections(got: Arrays, want: Arrays, post: "PostprocessSpec") -> Matches:
    """Which detections of one picture both sides have; see `detection_agreement`."""
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


def _select(arrays: Arrays, post: "PostprocessSpec") -> Detections:
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


def _pictures(found: Sequence[Arrays], reference: Sequence[Arrays]) -> list[tuple[Arrays, Arrays]]:
    if not found or len(found) != len(reference):
        counts = f"{len(found)} pictures found and {len(reference)} of the reference"
        raise DataError(f"cannot compare {counts}: run both on the same pictures, at least one")
    return list(zip(found, reference, strict=True))


def is_finite(*arrays: NDArray[Any]) -> bool:
    """Whether no value of the arrays is NaN or infinite."""
    return all(bool(np.isfinite(array).all()) for array in arrays)


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Of two arrays as vectors, -1..1; 1.0 for equal ones, zeros among them, 0.0 if one is zero or not finite."""
    if not is_finite(a, b):
        return 0.0
    return 1.0 if np.array_equal(a, b) else float(np.clip(_unit(a) @ _unit(b), -1, 1))


def logit_cosine(got: NDArray[Any], want: NDArray[Any]) -> float:
    """The cosine of logits (K,), -1..1; of one class alone, whose cosine is a mere sign, that of (1 - share, share)."""
    if len(want) > 1 or not is_finite(got, want):
        return cosine(got, want)
    return cosine(softmax(against_rest(got)), softmax(against_rest(want)))


def _unit(array: NDArray[Any]) -> NDArray[np.float64]:
    """The array as a vector (n,) of length 1; zeros stay zeros."""
    vector = array.astype(np.float64).ravel()
    largest = np.abs(vector).max(initial=0)
    if largest == 0:
        return vector
    vector /= largest  # squares of very large or small values would leave the range of numbers
    return np.asarray(vector / np.linalg.norm(vector))


def _mean_and_worst(cosines: Sequence[float]) -> dict[str, float]:
    return {"cosine": float(np.mean(cosines)), "worst_cosine": float(min(cosines))}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
