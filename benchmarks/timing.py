"""Timing a call again and again, and what the stopwatch itself costs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pvt_edge.benchmarks.record import Timer, Times

NS_PER_MS = 1e6


@dataclass
class Turn:
    """What one turn gave: ms of each call, what the calls returned, and the seconds of the turn."""

    samples_ms: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "Turn", *, seconds: float | None = None) -> None:
        """Append another turn's calls; its `seconds`, unless told how many to count."""
        self.samples_ms += other.samples_ms
        self.answers += other.answers
        self.seconds += other.seconds if seconds is None else seconds


def take_turn(call: Callable[[], Any], seconds: float, *, settle: bool = True) -> Turn:
    """The calls that begin within `seconds`, at least one, each timed and none left out.

    With `settle` one call goes before them untimed: another's turn has just emptied the caches, and users call the
    same model again and again.
    """
    clock = time.perf_counter_ns
    if settle:
        call()
    samples: list[int] = []
    answers: list[Any] = []
    started = clock()
    until = started + int(seconds * 1e9)
    while True:
        began = clock()
        answer = call()
        ended = clock()
        samples.append(ended - began)
        answers.append(answer)
        if ended >= until:
            break
    return Turn([ns / NS_PER_MS for ns in samples], answers, (ended - started) / 1e9)


def summarise(samples_ms: Sequence[float], percentiles: Sequence[float], *, batch: int, seconds: float) -> Times:
    """Percentiles as numpy's, of every sample; `batch` images a call over `seconds`."""
    cuts = np.percentile(samples_ms, [50.0, *percentiles])
    return Times(
        calls=len(samples_ms),
        p50=round(float(cuts[0]), 4),
        mean=round(float(np.mean(samples_ms)), 4),
        least=round(min(samples_ms), 4),
        most=round(max(samples_ms), 4),
        percentiles={f"{p:g}": round(float(cut), 4) for p, cut in zip(percentiles, cuts[1:], strict=True)},
        images_per_second=round(len(samples_ms) * batch / seconds, 3),
    )


def measure_timer(calls: int = 20_000) -> Timer:
    """What `take_turn` adds to a sample, and what passes between two, by timing a call that does nothing."""
    clock = time.perf_counter_ns
    left = calls

    def nothing() -> None:
        nonlocal left
        left -= 1

    turn = Turn()
    began = clock()
    while left > 0:
        turn.add(take_turn(nothing, 0.005, settle=False))
    between_us = (clock() - began) / 1e3 / len(turn.samples_ms)
    in_sample_us = float(np.median(turn.samples_ms)) * 1e3
    return Timer(
        in_sample_us=round(in_sample_us, 3),
        between_samples_us=round(between_us, 3),
        share_of_2_ms=round(in_sample_us / 2000, 6),
    )
