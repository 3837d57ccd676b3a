"""How far two answers to one picture agree: as vectors, as detections, as class maps."""

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import BundleError
from pvt_edge.postprocessing import Detections, against_rest, select, softmax

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec
    from pvt_edge.comparison.difference import Arrays

MATCH_IOU = 0.5  # as AP50 has it
CONF_SLACK = 0.05  # a partner may score this much below the threshold
LEAST_CONF = 0.01  # below it candidates are noise, and any box would find a partner
BORDER = 2  # pixels on both sides of a border between classes, where rounding decides


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


def relative_error(got: NDArray[Any], want: NDArray[Any]) -> float:
    """|got - want| / |want|; of a reference of zeros, 0 for zeros and else 1."""
    size = float(np.linalg.norm(want.astype(np.float64)))
    gap = float(np.linalg.norm(got.astype(np.float64) - want))
    return gap / size if size else float(gap > 0)


def mean_and_worst(cosines: list[float]) -> dict[str, float]:
    """ "cosine", their mean, and "worst_cosine", the least."""
    return {"cosine": float(np.mean(cosines)), "worst_cosine": float(min(cosines))}


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


class MaskAgreement:
    """Sums over pictures of ids (H, W); pixels of the reference without a class, below 0, do not count.

    Attributes:
        pixels: Those compared.
        equal: Those of them that have the same class.
        inside: Those compared that lie more than `BORDER` from any border of the reference.
        equal_inside: Those of them that have the same class.
        both: Pixels by class that have it on both sides.
        either: Pixels by class that have it on at least one.
    """

    def __init__(self) -> None:
        self.pixels = self.equal = self.inside = self.equal_inside = 0
        self.both: Counter[int] = Counter()
        self.either: Counter[int] = Counter()

    def add(self, found: NDArray[np.int32], reference: NDArray[np.int32]) -> "MaskAgreement":
        """Itself, with one picture more. Raises `BundleError` for maps of different sizes."""
        if found.shape != reference.shape:
            raise BundleError(f"gives a mask {found.shape}, the reference {reference.shape}: export both at one size")
        known = reference >= 0
        same = (found == reference) & known
        away = known & ~near_border(reference)
        self.pixels += int(known.sum())
        self.equal += int(same.sum())
        self.inside += int(away.sum())
        self.equal_inside += int((same & away).sum())
        both = _counts(reference[same])
        self.both.update(both)
        self.either.update(_counts(reference[known]))
        self.either.update(_counts(found[known]))
        self.either.subtract(both)
        return self

    def ious(self, least: int = 1) -> dict[int, float]:
        """Class id -> intersection over union, of the classes with at least so many pixels on both sides together."""
        return {i: self.both[i] / pixels for i, pixels in sorted(self.either.items()) if pixels >= least}

    def shares(self) -> "dict[str, tuple[int, int]]":
        """(equal pixels, pixels): "pixels" all, "inside" away from borders, "boundary" near them."""
        near = (self.equal - self.equal_inside, self.pixels - self.inside)
        return {"pixels": (self.equal, self.pixels), "inside": (self.equal_inside, self.inside), "boundary": near}

    def figures(self) -> dict[str, float]:
        """ "agreement" and "iou", the mean of `ious`, and the `shares`; 1.0 of nothing."""
        ious = self.ious()
        miou = sum(ious.values()) / len(ious) if ious else 1.0
        return {"agreement": miou, "iou": miou} | {name: _share(*counts) for name, counts in self.shares().items()}


def near_border(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Which pixels (H, W) have another class within `BORDER` pixels, diagonals included."""
    import cv2

    kernel = np.ones((2 * BORDER + 1, 2 * BORDER + 1), np.uint8)
    values = mask.astype(np.float32)  # which OpenCV takes, and ids up to 2 ** 24 are exact
    return np.asarray(cv2.dilate(values, kernel) != cv2.erode(values, kernel))


def _counts(ids: NDArray[Any]) -> Counter[int]:
    """Pixels by class; values below 0 are none."""
    return Counter(dict(enumerate(np.bincount(ids[ids >= 0]).tolist())))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
