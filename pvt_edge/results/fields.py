"""What a result is made of: boxes, shares of classes, and which frame of which stream it is of; the mean of speeds."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError


@dataclass(frozen=True, eq=False)
class Boxes:
    """n detections, best first: `xyxy` (n, 4) float32 in pixels of the original picture, `conf` (n,) float32
    in 0..1, `cls` (n,) int64 class ids, `id` (n,) int64 tracks where they are tracked (-1: not yet sure), else None.
    `orig_hw` is the picture's (height, width), which a `Result` fills in.
    `boxes[0]`, `boxes[2:5]`, `boxes[boxes.conf > 0.5]` are Boxes too.

    >>> Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    Boxes(n=0)
    """

    xyxy: NDArray[np.float32]
    conf: NDArray[np.float32]
    cls: NDArray[np.int64]
    id: NDArray[np.int64] | None = None
    orig_hw: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyxy", np.asarray(self.xyxy, np.float32))
        object.__setattr__(self, "conf", np.asarray(self.conf, np.float32))
        object.__setattr__(self, "cls", np.asarray(self.cls, np.int64))
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or self.conf.shape != (n,) or self.cls.shape != (n,):
            raise DataError(
                f"boxes need xyxy (n, 4), conf (n,) and cls (n,), not {self.xyxy.shape}, {self.conf.shape} "
                f"and {self.cls.shape}"
            )
        if self.id is not None:
            object.__setattr__(self, "id", np.asarray(self.id, np.int64))
            if self.id.shape != (n,):
                raise DataError(f"track ids need the shape ({n},) of their boxes, not {self.id.shape}")

    @property
    def xywh(self) -> NDArray[np.float32]:
        """(n, 4) float32: centre x, centre y, width, height, in pixels."""
        corners, opposite = self.xyxy[:, :2], self.xyxy[:, 2:]
        return np.concatenate(((corners + opposite) / 2, opposite - corners), axis=1)

    @property
    def xyxyn(self) -> NDArray[np.float32]:
        """`xyxy` in 0..1 of the picture's width and height."""
        return self.xyxy / self._sides()

    @property
    def xywhn(self) -> NDArray[np.float32]:
        """`xywh` in 0..1 of the picture's width and height."""
        return self.xywh / self._sides()

    def _sides(self) -> NDArray[np.float32]:
        if self.orig_hw is None:
            raise DataError("boxes without a picture have no size to be divided by: give Boxes(..., orig_hw=(h, w))")
        height, width = self.orig_hw
        return np.array((width, height, width, height), np.float32)

    @property
    def data(self) -> NDArray[np.float32]:
        """(n, 6) float32: x1, y1, x2, y2, confidence, class; tracked (n, 7) with the track before the confidence."""
        tracks = [] if self.id is None else [self.id[:, None]]
        return np.concatenate((self.xyxy, *tracks, self.conf[:, None], self.cls[:, None]), axis=1, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: "int | slice | Sequence[int] | NDArray[Any]") -> "Boxes":
        rows = [index] if isinstance(index, (int, np.integer)) else index
        tracks = None if self.id is None else self.id[rows]
        return Boxes(self.xyxy[rows], self.conf[rows], self.cls[rows], tracks, self.orig_hw)

    def __iter__(self) -> Iterator["Boxes"]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Boxes(n={len(self)})"


@dataclass(frozen=True, eq=False)
class Probs:
    """The share of each class, `data` (K,) float32 in 0..1, K >= 1."""

    data: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", np.asarray(self.data, np.float32))
        if self.data.ndim != 1 or len(self.data) == 0:
            raise DataError(f"class shares need the shape (K,) with K >= 1, not {self.data.shape}")

    @property
    def top5(self) -> tuple[int, ...]:
        """The ids of the best five, or of all where there are fewer, best first."""
        return tuple(np.argsort(-self.data, kind="stable")[:5].tolist())

    @property
    def top1(self) -> int:
        return int(self.data.argmax())

    @property
    def top5conf(self) -> NDArray[np.float32]:
        return self.data[list(self.top5)]

    @property
    def top1conf(self) -> float:
        return float(self.data[self.top1])

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Probs(classes={len(self)}, top1={self.top1}, top1conf={self.top1conf:.2f})"


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


class MeanSpeed:
    """Adds up `Result.speed`."""

    def __init__(self) -> None:
        self._count = 0
        self._spent_ms: defaultdict[str, float] = defaultdict(float)

    def add(self, speed: Mapping[str, float]) -> None:
        """One picture more."""
        self._count += 1
        for step, spent in speed.items():
            self._spent_ms[step] += spent

    def means(self) -> dict[str, float]:
        """Milliseconds a picture by step."""
        return {step: spent / self._count for step, spent in self._spent_ms.items()}
