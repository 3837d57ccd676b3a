"""How alike two arrays are as vectors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.postprocessing import against_rest, softmax


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
