"""What all runtimes have in common: checked feeds, the boundary around calls, what `doctor` asks, and closing once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.boundary import boundary
from pvt_edge.runtimes.runtime import TensorSpec, describe

if TYPE_CHECKING:
    from typing_extensions import Self

Facts = dict[str, Any]  # "version", and "devices": a list of what `device_row` gives
# An ONNX model, y = x @ x of (2, 2) float32, opset 17: what runs it once can run.
TINY_ONNX = (
    b'\x08\x08:@\n\x11\n\x01x\n\x01x\x12\x01y"\x06MatMul\x12\x01gZ\x13\n\x01x\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08'
    b"\x02\n\x02\x08\x02b\x13\n\x01y\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x02\n\x02\x08\x02B\x04\n\x00\x10\x11"
)
TINY_INPUT, TINY_OUTPUT = [[1.0, 2.0], [3.0, 4.0]], [[7.0, 10.0], [15.0, 22.0]]


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


def check_tiny(output: object) -> None:
    """Raise `RuntimeMissingError` unless that is what the tiny model gives for its input."""
    if output != TINY_OUTPUT:
        raise RuntimeMissingError(f"it computes {output} where {TINY_OUTPUT} is right: install it again")


def device_row(name: str, description: object, precisions: list[str]) -> dict[str, Any]:
    """A device that a runtime runs on, and the precisions it takes there."""
    return {"name": name, "description": printable(description), "precisions": precisions}


def printable(text: object) -> str:
    """`text` on one line, control characters gone: libraries say what they like, and terminals obey."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))


class Session(ABC):
    """A `Runtime` short of two steps: `_run`, and `_release`, which frees the model; `probe` is for `doctor`."""

    callers = 1  # threads that keep it busy, each with a runtime of its own from `again`

    def __init__(
        self,
        name: str,
        source: str,
        *,
        precision: str,
        device: str,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
    ) -> None:
        self.name, self.source = name, source
        self.precision, self.device = precision, device
        self.inputs, self.outputs = inputs, outputs
        self.closed = False

    @classmethod
    def check_machine(cls) -> None:
        """Raise `RuntimeMissingError` where the library is here and this machine still cannot run its files."""
        return  # most need nothing more than their library

    @classmethod
    def probe(cls, facts: "Facts") -> None:
        """Run the library once for `doctor`, filling in `facts` on the way; by default nothing is asked.

        It may raise, hang or die, as it runs in a process of its own.
        """
        return

    @classmethod
    def float_precisions(cls, device: str) -> tuple[str, ...]:
        """The precisions that its fp32 files can be rounded to on the device ("auto" or a name)."""
        return ()

    @property
    def float_precision(self) -> str:
        """What the float part of the model runs in."""
        return "fp32" if self.precision in ("int8", "approx") else self.precision

    @property
    def batch_range(self) -> tuple[int, int | None]:
        """The fewest and the most pictures of a call; None where nothing but memory bounds them."""
        batch = self.inputs[0].shape[0]
        return (1, None) if batch == -1 else (batch, batch)

    def again(self) -> "Session":
        """The same loaded model for another thread; close it on its own."""
        raise RuntimeInputError(f"the {self.name} runtime serves one thread: open the file again for another")

    @abstractmethod
    def _run(self, arrays: "dict[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        """Outputs by name for checked arrays; memory that no later call writes to and no feed shares."""

    @abstractmethod
    def _release(self) -> None:
        """Drop what holds the model's memory."""

    def infer(self, feeds: "Mapping[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        """Arrays by output name, owned by the caller, for arrays by input name.

        Raises `RuntimeInputError` when names, dtype or shape are not those of `inputs` or the runtime is
        closed, `BundleError` when the model itself fails.
        """
        self._check_open()
        arrays = check_feeds(feeds, self.inputs)
        with boundary(f"{self.name} failed while running {self.source}", "export the model again"):
            return self._run(arrays)

    def _check_open(self) -> None:
        if self.closed:
            raise RuntimeInputError(f"the {self.name} runtime of {self.source} is closed: open it again")

    def close(self) -> None:
        """Free the model; a second call does nothing, `infer` afterwards raises `RuntimeInputError`."""
        if not self.closed:
            self.closed = True
            self._release()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
