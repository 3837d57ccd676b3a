"""What is known of a stream while it runs: the numbers that the status line, the JSON and the live page show."""

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pvt_edge.results import Result

WINDOW_S = 10.0  # that FPS and percentiles look back
STALLS_TO_HANG = 3  # stall times without an answer, after which a stream that should run hangs
OPENING, RUNNING, LOST, ENDED, FAILED = "opening", "running", "lost", "ended", "failed"


@dataclass(frozen=True)
class StreamStatus:
    """One stream at one moment. Times are in ms over the last 10 s, None before there are any.

    `state` is "opening", "running", "lost" (being reopened), "ended" (a file read to its end) or "failed";
    `reason` says why it was last lost. `frames` were answered; `dropped` were read and never run, as a newer one
    came first or `max_age` was over; `decode_errors` could not be decoded; `idle_s` passed since the last answer
    or, before it, since the start. `objects` counts the last answer's classes, `counts` lines and zones.
    """

    id: int
    source: str
    live: bool
    state: str = OPENING
    reason: str = ""
    frames: int = 0
    fps: float | None = None
    age_p50_ms: float | None = None
    age_p95_ms: float | None = None
    inference_p50_ms: float | None = None
    dropped: int = 0
    reconnects: int = 0
    decode_errors: int = 0
    idle_s: float = 0.0
    width: int = 0
    height: int = 0
    objects: Mapping[str, int] | None = None
    counts: Mapping[str, Mapping[str, int]] | None = None

    def line(self) -> str:
        """ "24.8 fps | age p95 61 ms | dropped 3 | reconnects 1", and what else is not as it should be."""
        parts = [f"{self.fps:.1f} fps" if self.fps is not None else "- fps"]
        if self.age_p95_ms is not None:
            parts.append(f"age p95 {self.age_p95_ms:.0f} ms")
        parts += [f"dropped {self.dropped}", f"reconnects {self.reconnects}"]
        if self.decode_errors:
            parts.append(f"decode errors {self.decode_errors}")
        if self.state in (LOST, FAILED):
            parts.append(f"{self.state}: {self.reason}")
        return " | ".join(parts)


class StreamRecord:
    """Gathers one stream's numbers from the threads that read, run and drop; `status` is a consistent copy."""

    def __init__(self, id: int, source: str, *, live: bool) -> None:
        self.id, self.source, self.live = id, source, live
        self._lock = threading.Lock()
        self._state, self._reason = OPENING, ""
        self._frames = self._dropped = self._reconnects = self._decode_errors = 0
        self._last = monotonic()
        self._recent: deque[tuple[float, float, float]] = deque()  # answered at, age ms, inference ms
        self._wh = (0, 0)
        self._objects: Mapping[str, int] | None = None
        self._counts: Mapping[str, Mapping[str, int]] | None = None

    def enter(self, state: str, reason: str = "") -> None:
        """Change the state; the reason stays until the next."""
        with self._lock:
            self._state, self._reason = state, reason or self._reason

    def drop(self, frames: int = 1) -> None:
        """Frames were read and will not be run."""
        with self._lock:
            self._dropped += frames

    def reconnect(self) -> None:
        """The source was lost and gives frames again."""
        with self._lock:
            self._reconnects += 1

    def decode_error(self, frames: int = 1) -> None:
        """The source gave what could not be decoded."""
        with self._lock:
            self._decode_errors += frames

    def faults(self) -> tuple[int, int, int]:
        """(dropped, reconnects, decode errors) so far."""
        with self._lock:
            return self._dropped, self._reconnects, self._decode_errors

    def answer(self, result: "Result") -> None:
        """One frame was run."""
        now = monotonic()
        with self._lock:
            self._frames += 1
            self._last = now
            self._recent.append((now, result.frame.age_ms, result.speed["inference"]))
            self._forget(now)
            self._wh = (result.orig_hw[1], result.orig_hw[0])
            self._objects = dict(Counter(result.found_names()))
            self._counts = {counter.name: dict(counter.counts) for counter in result.counters}

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()

    def status(self) -> StreamStatus:
        """The stream as it is now."""
        now = monotonic()
        with self._lock:
            self._forget(now)
            recent = list(self._recent)
            ages = [age for _, age, _ in recent]
            return StreamStatus(
                self.id,
                self.source,
                self.live,
                self._state,
                self._reason,
                self._frames,
                fps=frames_per_second([at for at, _, _ in recent]),
                age_p50_ms=_percentile(ages, 50),
                age_p95_ms=_percentile(ages, 95),
                inference_p50_ms=_percentile([ms for _, _, ms in recent], 50),
                dropped=self._dropped,
                reconnects=self._reconnects,
                decode_errors=self._decode_errors,
                idle_s=now - self._last,
                width=self._wh[0],
                height=self._wh[1],
                objects=self._objects,
                counts=self._counts,
            )


def frames_per_second(times_s: Sequence[float]) -> float | None:
    """(n-1)/Δt of n answers at these times; None for fewer than two.

    >>> frames_per_second([0.0, 0.5, 1.0])
    2.0
    """
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return None
    return (len(times_s) - 1) / (times_s[-1] - times_s[0])


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None
