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

    `newest_only`: who looks at it wants the newest result, not those that wait. `grace_s`: how long what still
    waits may take when a live run ends. `idle_every_s`: how often `idle` is called while nothing comes.
    `lost` counts results that the sink did not get through, though it goes on.
    """

    target: str
    newest_only: bool = False
    grace_s: float = 10.0
    idle_every_s: float | None = None
    lost: int = 0

    @abstractmethod
    def write(self, result: "Result") -> None:
        """Take one result. Raises `DataError` when it cannot be written."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was written; a second call does nothing. Raises `DataError` when that fails."""

    @property
    def healthy(self) -> bool:
        """Whether results get through, so that it pays to wait for it."""
        return True

    def idle(self) -> None:  # noqa: B027 - most sinks only work when a result comes
        """What is to be done between results; called by the thread that writes."""

    def give_up(self) -> None:  # noqa: B027 - most sinks cannot hang
        """Break off a write that hangs; called by another thread when the time of grace is over."""

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
