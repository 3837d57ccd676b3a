"""A picture's look in 64 bits: copies of it differ in a few, other pictures in about half."""

import numpy as np
from numpy.typing import NDArray

# Bits in which near-duplicates differ at most. The 292 BCCD pictures against their copies as JPEG of quality 60, at
# 90 % size or shifted by a pixel: at most 4. Two of them that show other cells: 14 and more. Nearer 4 than 14, as a
# fixed camera's pictures share their background, and to lose one of those costs more than to keep a copy.
NEAR_BITS = 4
HASH_BITS = 64
GRID = 32  # pixels a side of the picture that is transformed
WAVES = 8  # lowest frequencies kept along each side


def perceptual_hash(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the 8 x 8 lowest waves of a BGR picture (H, W, 3) uint8 are above their median, (64,).

    The DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010).
    """
    import cv2

    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (GRID, GRID), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(grey.astype(np.float32))[:WAVES, :WAVES].ravel()
    return np.asarray(waves > np.median(waves), np.bool_)


class SeenPictures:
    """The hashes of pictures met so far."""

    def __init__(self) -> None:
        self._hashes = np.empty((0, HASH_BITS), np.bool_)

    def add(self, image: NDArray[np.uint8]) -> bool:
        """Whether `image` is new; False when it is a near-duplicate of one that was."""
        found = perceptual_hash(image)
        if bool((np.count_nonzero(self._hashes != found, axis=1) <= NEAR_BITS).any()):
            return False
        self._hashes = np.vstack([self._hashes, found])
        return True
