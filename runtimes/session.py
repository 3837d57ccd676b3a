"""What all runtimes have in common: checked feeds, the error boundary, and closing once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from pvt_edge.errors import RuntimeInputError
from pvt_edge.runtimes.boundary import boundary
from pvt_edge.runtimes.feeds import check_feeds
from pvt_edge.runtimes.runtime import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from pvt_edge.runtimes.probe import Facts


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
