"""What every sink keeps: results in, closed at the end, finished even when the work stops half-way."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from pvt_edge.results import Result


class Sink(ABC):
    """Takes results. Close it, or use it as a context manager; `target` says where they go, without secrets.

    `newest_only`: who looks at it wants the newest result, not those that wait. `grace_s`: how long at the end
    what still waits may take; None is until it is done.
    """

    target: str
    newest_only: bool = False
    grace_s: float | None = None

    @abstractmethod
    def write(self, result: "Result") -> None:
        """Take one result. Raises `DataError` when it cannot be written."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was written; a second call does nothing. Raises `DataError` when that fails."""

    def written(self) -> "list[Path]":
        """The files and folders it wrote, to be told at the end."""
        return []

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sinks(Sink):
    """Several sinks as one; all are closed, also when closing one of them fails."""

    def __init__(self, sinks: Iterable[Sink]) -> None:
        self.sinks = tuple(sinks)
        self.target = ", ".join(sink.target for sink in self.sinks)

    def write(self, result: "Result") -> None:
        for sink in self.sinks:
            sink.write(result)

    def close(self) -> None:
        with ExitStack() as stack:
            for sink in reversed(self.sinks):
                stack.callback(sink.close)
