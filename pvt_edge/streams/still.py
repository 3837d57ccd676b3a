"""Tells a camera that froze from a scene in which nothing moves."""

from time import monotonic

import numpy as np
from numpy.typing import NDArray

STEP = 8  # pixels from one sample to the next: what moves is larger
SAME_SCENE = 3.0  # mean grey levels between two encodings of one scene


class StillWatch:
    """Notices pictures that are identical for `after_s`: sensors are never without noise.

    Some scenes are: a screen, a dark room behind a strong encoder. So a source is called frozen once, and not again
    for the same picture, should it still show it after it was opened anew. Once its pictures have differed from one
    to the next for `after_s` it is known to be alive, and may freeze again.
    """

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self._last: NDArray[np.uint8] | None = None
        self._still_since = self._moving_since = 0.0
        self._known: NDArray[np.uint8] | None = None

    def frozen(self, image: NDArray[np.uint8], now: float | None = None) -> bool:
        """Whether this picture (H, W, 3) is the same since `after_s` and not known to be still."""
        now = monotonic() if now is None else now
        sample = image[::STEP, ::STEP].copy()
        same = self._last is not None and np.array_equal(sample, self._last)
        if self._last is None or same:
            self._moving_since = now
        if not same:
            self._last, self._still_since = sample, now
            if self._known is not None and (
                now - self._moving_since >= self.after_s or not _alike(sample, self._known)
            ):
                self._known = None
            return False
        if now - self._still_since < self.after_s or self._known is not None:
            return False
        self._known, self._last = sample, None
        return True


def _alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(np.int16) - b).mean()) < SAME_SCENE
