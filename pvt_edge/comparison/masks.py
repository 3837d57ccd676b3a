"""How far two class maps agree: by pixels, by classes, at borders between classes and away from them."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import BundleError

BORDER = 2  # pixels on both sides of a border between classes, where rounding decides


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
