"""What the page shows of each stream: its newest picture, encoded once, its last minutes, whether all is well."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pvt_edge.streams.status import ENDED, OPENING, RUNNING, StreamStatus

if TYPE_CHECKING:
    from pvt_edge.results import Result

Health = Literal["ok", "degraded", "down"]
KEPT_S = 300
JPEG_QUALITY = 80
WIDEST = 1280  # pixels: a page shows no more, and a 4K picture takes longer to encode than to run


def health(statuses: Sequence[StreamStatus], *, hung_s: float) -> Health:
    """ "ok" when every stream runs or was read to its end, "down" when none does, else "degraded".

    A stream that should run and has given no answer for `hung_s` does not.
    """
    fine = [is_fine(status, hung_s=hung_s) for status in statuses]
    if all(fine):
        return "ok"
    return "degraded" if any(fine) else "down"


def is_fine(status: StreamStatus, *, hung_s: float) -> bool:
    """Whether the stream runs, or has done all it had to."""
    return status.state == ENDED or (status.state in (OPENING, RUNNING) and status.idle_s <= hung_s)


@dataclass(frozen=True)
class Sample:
    """One stream at `at` (Unix seconds); None where there was nothing to measure."""

    at: float
    fps: float | None
    age_p50_ms: float | None
    age_p95_ms: float | None
    inference_p50_ms: float | None


class History:
    """A sample a second of each stream, by its id, 5 minutes of them."""

    def __init__(self) -> None:
        self._samples: dict[int, deque[Sample]] = {}

    def add(self, statuses: Sequence[StreamStatus]) -> None:
        """Keep a sample of each."""
        at = time.time()
        for status in statuses:
            kept = self._samples.setdefault(status.id, deque(maxlen=KEPT_S))
            kept.append(
                Sample(at, status.fps, status.age_p50_ms, status.age_p95_ms, status.inference_p50_ms),
            )

    def of(self, stream: int) -> list[Sample]:
        """The stream's samples, oldest first."""
        return list(self._samples.get(stream, ()))


@dataclass(frozen=True)
class Picture:
    """An encoded annotated frame: `number` counts what the view was given, `frame_id` is the stream's."""

    number: int
    frame_id: int
    jpeg: bytes


class LiveView:
    """Holds the newest result of a stream. `put` may be called from any thread, the rest from the loop's.

    At most `most_fps` pictures a second are encoded, however many watch.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Executor, *, most_fps: float) -> None:
        self._loop, self._pool, self._every_s = loop, pool, 1 / most_fps
        self._newest: tuple[int, Result] | None = None
        self._picture: Picture | None = None
        self._arrived = asyncio.Event()
        self._encoding = asyncio.Lock()
        self._encoded_at = float("-inf")
        self._waiting = 0

    @property
    def number(self) -> int:
        """Of the newest result; 0 before the first."""
        return self._newest[0] if self._newest is not None else 0

    def put(self, result: "Result") -> None:
        """Take a result in place of the one before."""
        self._newest = (self.number + 1, result)
        if self._waiting:
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def after(self, number: int) -> Picture:
        """The newest picture, once there is one with a higher number."""
        self._waiting += 1
        try:
            while self._picture is None or self._picture.number <= number:
                async with self._encoding:  # the others find the picture when the first has encoded it
                    if self._picture is None or self._picture.number <= number:
                        self._picture = await self._encode_next(number)
            return self._picture
        finally:
            self._waiting -= 1

    async def _encode_next(self, number: int) -> Picture:
        while self._newest is None or self._newest[0] <= number:
            self._arrived.clear()
            if self._newest is None or self._newest[0] <= number:  # one may have come before the clearing
                await self._arrived.wait()
        await asyncio.sleep(max(0.0, self._encoded_at + self._every_s - self._loop.time()))
        self._encoded_at = self._loop.time()
        newest, result = self._newest
        return await self._loop.run_in_executor(self._pool, encode, newest, result)


def encode(number: int, result: "Result") -> Picture:
    """The result's annotated picture as JPEG, at most 1280 pixels wide."""
    import cv2

    image = result.annotated
    height, width = image.shape[:2]
    if width > WIDEST:
        image = cv2.resize(image, (WIDEST, max(1, round(height * WIDEST / width))), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Picture(number, result.frame.id, data.tobytes())
