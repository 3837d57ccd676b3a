"""The check that every runtime runs on its feeds, so that all of them refuse alike."""

from collections.abc import Mapping
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import RuntimeInputError
from pvt_edge.runtimes.runtime import TensorSpec, describe


def check_feeds(
    feeds: Mapping[str, NDArray[np.generic]], inputs: tuple[TensorSpec, ...]
) -> dict[str, NDArray[np.generic]]:
    """The feeds, in the order of `inputs`, as contiguous arrays in the machine's byte order.

    Raises `RuntimeInputError` when a name, a dtype or a shape is not that of `inputs`.
    """
    listed = ", ".join(f"{spec.name!r}: {describe(spec.dtype, spec.shape)}" for spec in inputs)
    if not isinstance(feeds, Mapping):
        raise RuntimeInputError(f"infer takes a dict of arrays by input name, {{{listed}}}; got {type(feeds).__name__}")
    names = [spec.name for spec in inputs]
    for name in feeds:
        if name not in names:
            near = get_close_matches(str(name), names, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise RuntimeInputError(f"unknown input {name!r}: {hint}the model takes {listed}")
    absent = [name for name in names if name not in feeds]
    if absent:
        raise RuntimeInputError(f"missing input {', '.join(map(repr, absent))}: the model takes {listed}")
    return {spec.name: _checked(feeds[spec.name], spec) for spec in inputs}


def _checked(array: NDArray[np.generic], spec: TensorSpec) -> NDArray[np.generic]:
    expected = f"input {spec.name!r}: expected {describe(spec.dtype, spec.shape)}"
    if not isinstance(array, np.ndarray):
        raise RuntimeInputError(f"{expected}, got {type(array).__name__}: pass a numpy array")
    fits = len(array.shape) == len(spec.shape) and all(
        given == size or (size == -1 and given > 0) for given, size in zip(array.shape, spec.shape, strict=True)
    )
    if array.dtype.name != spec.dtype or not fits:
        raise RuntimeInputError(f"{expected}, got {describe(array.dtype, array.shape)}: {_mend(array, spec)}")
    # NumPy names both byte orders alike: dtype= makes it the machine's own.
    return np.asarray(array, dtype=spec.dtype, order="C")


def _mend(array: NDArray[np.generic], spec: TensorSpec) -> str:
    """What to do about an array of the wrong dtype or shape."""
    pixels = spec.dtype == "uint8" and len(spec.shape) == 4 and spec.shape[-1] == 3
    if not pixels:
        return "pass an array of that dtype and shape"
    if array.dtype == np.uint8 and array.shape == spec.shape[1:]:
        return "add the batch axis, array[None]"
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[1:] == spec.shape[1:]:
        return f"pass {spec.shape[0]} at a time, or export with a dynamic batch"
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] == 3:
        return "resize the pictures to the input's height and width"
    return "pass HWC BGR pixels 0..255"
