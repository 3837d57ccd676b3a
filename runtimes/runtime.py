"""The protocol every runtime keeps: an artifact in, arrays out."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype ("uint8", "float32", "int64") and shape of an input or output; -1 stands for any size."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def describe(dtype: object, shape: tuple[int, ...]) -> str:
    """Dtype and shape as they are shown in messages; -1 reads "any".

    >>> describe("uint8", (-1, 224, 224, 3))
    'uint8 (any, 224, 224, 3)'
    """
    sizes = ["any" if size == -1 else str(size) for size in shape]
    return f"{dtype} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


@dataclass(frozen=True)
class ModelSpec:
    """What a model file holds: its precision ("fp32", "bf16", "fp16", "approx", "int8"), inputs and outputs."""

    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@runtime_checkable
class Runtime(Protocol):
    """What runs an artifact. Not thread-safe; close it, or use it as a context manager."""

    name: str
    precision: str  # what really runs: "fp32", "bf16", "fp16", "approx", "int8"
    device: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def batch_range(self) -> tuple[int, int | None]:
        """The fewest and the most pictures of a call; None where nothing but memory bounds them."""
        ...

    def infer(self, feeds: "Mapping[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        """Arrays by output name, owned by the caller, for arrays by input name.

        Raises `RuntimeInputError` when names, dtype or shape are not those of `inputs`.
        """
        ...

    def close(self) -> None:
        """Free the model; a second call does nothing, `infer` afterwards raises `RuntimeInputError`."""
        ...

    def __enter__(self) -> "Self": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
