"""Top-1 and top-5: the places of the right classes among shares or logits."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def shares(places: "Sequence[float]") -> dict[str, float]:
    """The shares 0..1 of places, at least one, that are the first, "top1", and among the first five, "top5"."""
    return {f"top{n}": sum(place < n for place in places) / len(places) for n in (1, 5)}


def place(logits: "NDArray[Any]", label: int) -> float:
    """The place of a class among logits or shares (K,), the best 0; equals in their order, as in `Probs`.

    Infinity where they are not all finite, and for one class alone unless its logit is positive.
    """
    if len(logits) == 1 and not logits[0] > 0:
        return math.inf
    if not np.isfinite(logits).all():
        return math.inf
    return int(np.argsort(-logits, kind="stable").tolist().index(label))
