"""Timing a call again and again, several calls at once, and everyone's in interleaved rounds.

In every round everyone gets a short turn, in another order each time: whatever slows the machine for a while slows all
of them, and ratios between them hold.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pvt_edge.benchmarks.record import Timer, Times
from pvt_edge.runtimes.boundary import one_line

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


TakeTurn = Callable[[float], Turn]  # seconds of the turn -> what it gave


@dataclass
class Track:
    """All turns of one contestant together, and what ended them early."""

    whole: Turn = field(default_factory=Turn)
    turns: int = 0
    error: str | None = None


def run_rounds(
    contestants: Mapping[str, TakeTurn],
    *,
    rounds: int,
    slice_s: float,
    seed: int,
    warmup_s: float = 0.0,
    between: Callable[[], None] = lambda: None,
    on_step: Callable[[str], None] = lambda name: None,
) -> dict[str, Track]:
    """What each contestant did in `rounds` turns of `slice_s` seconds, after `warmup_s` that are not counted.

    The order within a round is drawn by `seed`. One that raises keeps what it did, says why, and has no more turns;
    the others go on. `between` is called before every turn, `on_step` with the name of whose turn begins.
    """
    tracks = {name: Track() for name in contestants}
    if warmup_s > 0:
        _round(contestants, tracks, list(contestants), warmup_s, on_step, between)
        for track in tracks.values():
            track.whole, track.turns = Turn(), 0
    order = random.Random(seed)
    for _ in range(rounds):
        names = list(contestants)
        order.shuffle(names)
        _round(contestants, tracks, names, slice_s, on_step, between)
    return tracks


def _round(
    contestants: Mapping[str, TakeTurn],
    tracks: Mapping[str, Track],
    names: Sequence[str],
    seconds: float,
    on_step: Callable[[str], None],
    between: Callable[[], None],
) -> None:
    for name in names:
        track = tracks[name]
        on_step(name)
        if track.error is not None:
            continue
        between()
        try:
            track.whole.add(contestants[name](seconds))
        except Exception as error:  # whatever a runtime raises is its row's end, not the benchmark's
            track.error = one_line(error)
        else:
            track.turns += 1
