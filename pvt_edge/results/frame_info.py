"""Which frame of which stream a result is of, and what the stream's lines and zones had counted by then."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StreamInfo:
    """Which stream a frame is of, `source` without secrets, and what had gone wrong in it up to this frame:
    frames dropped for newer ones, times the source was lost and came back, frames that could not be decoded.
    """

    id: int
    source: str
    dropped: int = 0
    reconnects: int = 0
    decode_errors: int = 0


@dataclass(frozen=True)
class FrameInfo:
    """Which frame: `id` from 0, `captured_at` in Unix seconds, `age_ms` its age when the result was ready.

    A frame that was dropped has used up its id. `page` counts from 1 in a file of several pages (a TIFF stack, an
    animation), else it is None; `video_s` is when a video file shows it, in seconds after its first frame, else None.
    `stream` is None outside streams.
    """

    id: int = 0
    captured_at: float = 0.0
    age_ms: float = 0.0
    stream: StreamInfo | None = None
    page: int | None = None
    video_s: float | None = None


@dataclass(frozen=True)
class Counter:
    """A line or zone that counts: its corners (k, 2) in pixels, and the counts so far by name."""

    name: str
    points: tuple[tuple[int, int], ...]
    counts: Mapping[str, int]
