"""The last minutes of every stream, for the charts."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pvt_edge.streams.status import StreamStatus

KEPT_S = 300


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
