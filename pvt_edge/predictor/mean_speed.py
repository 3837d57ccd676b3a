"""Means over pictures of what each step took."""

from collections import defaultdict
from collections.abc import Mapping


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
