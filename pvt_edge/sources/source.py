"""What every source keeps: an iterator of frames that can be closed; a live one can be lost and connected again."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvt_edge.options.stream import SourceOptions

if TYPE_CHECKING:
    from typing_extensions import Self

VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv"),
    *(".3gp", ".asf", ".dv", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".mts", ".mxf", ".ogv", ".vob"),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: `image` (H, W, 3) uint8 BGR, `id` counting from 0, `captured_at` in Unix seconds.

    `path` is the file it came from, `page` its number there from 1 where that has several, `video_s` when a video file
    shows it, in seconds after its first frame; None where there is none.
    """

    image: NDArray[np.uint8] = field(repr=False)
    id: int = 0
    captured_at: float = field(default_factory=time.time)
    path: str | None = None
    page: int | None = None
    video_s: float | None = None
    tick: float = field(default_factory=time.perf_counter, repr=False)  # steady, where the wall clock may jump

    @property
    def age_ms(self) -> float:
        return (time.perf_counter() - self.tick) * 1e3


class Source(ABC):
    """An iterator of frames, read once. Close it, or use it as a context manager.

    `name` says what it is, without secrets; `live` that frames come in their own time, and are lost where
    nobody takes them. `fps` and `frame_count` are None where unknown; `skipped` fills while reading with a line
    per thing that could not be read. `decode_errors` counts what came and could not be decoded, `passed_over` what was
    left undecoded to catch up.
    """

    name: str
    live: bool = False
    fps: float | None = None
    frame_count: int | None = None
    decode_errors: int = 0
    passed_over: int = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.skipped: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Free what is held open; a second call does nothing."""

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LiveSource(Source):
    """Frames of something that goes on without us. Read by one thread at a time.

    Iterating ends where the source is lost; `pvt_edge.streams` connects again. `notes` says what the source gives
    other than was asked for; `ended` that it has no more to give, which is no loss.
    """

    live = True
    ended = False

    def __init__(self, name: str, options: SourceOptions) -> None:
        super().__init__(name)
        self.options = options
        self.notes: list[str] = []
        self.connected = False

    @abstractmethod
    def connect(self) -> None:
        """Open the source anew; `DataError` says why that fails and what would mend it."""

    @abstractmethod
    def read(self) -> Frame | None:
        """The next frame, waited for; None when the source is lost or gave nothing for `stall_s`."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the device or socket; a second call does nothing."""

    def is_back(self) -> bool:
        """Whether a source that was away has just come back: cheap, asked often between attempts to connect.

        False where only an attempt can tell.
        """
        return False

    def __iter__(self) -> Iterator[Frame]:
        if not self.connected:
            self.connect()
        while (frame := self.read()) is not None:
            yield frame

    def close(self) -> None:
        self.disconnect()
