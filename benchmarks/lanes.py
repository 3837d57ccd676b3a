"""Throughput: several callers at once, each in a thread of its own."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pvt_edge.benchmarks.timing import Turn, take_turn


class Lanes:
    """Callers that run side by side; close it, or use it as a context manager."""

    def __init__(self, calls: Sequence[Callable[[], Any]]) -> None:
        self._calls = calls
        self._pool = ThreadPoolExecutor(len(calls), thread_name_prefix="lane")

    def take_turn(self, seconds: float) -> Turn:
        """The calls of all lanes after one each that is not counted; the turn lasts until the slowest is done."""
        for one in [self._pool.submit(call) for call in self._calls]:
            one.result()
        started = time.perf_counter()
        turns = [self._pool.submit(take_turn, call, seconds, settle=False) for call in self._calls]
        whole = Turn()
        for one in turns:
            whole.add(one.result(), seconds=0.0)
        whole.seconds = time.perf_counter() - started
        return whole

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def __enter__(self) -> "Lanes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
