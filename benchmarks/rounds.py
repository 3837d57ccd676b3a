"""Interleaved rounds: everyone gets a short turn in every round, in another order each time.

Whatever slows the machine for a while then slows all of them, and ratios between them hold.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pvt_edge.benchmarks.timing import Turn
from pvt_edge.runtimes.boundary import one_line

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
    tell: Callable[[str], None] = lambda name: None,
) -> dict[str, Track]:
    """What each contestant did in `rounds` turns of `slice_s` seconds, after `warmup_s` that are not counted.

    The order within a round is drawn by `seed`. One that raises keeps what it did, says why, and has no more turns;
    the others go on. `between` is called before every turn, `tell` with the name of whose turn begins.
    """
    tracks = {name: Track() for name in contestants}
    if warmup_s > 0:
        _round(contestants, tracks, list(contestants), warmup_s, tell, between)
        for track in tracks.values():
            track.whole, track.turns = Turn(), 0
    order = random.Random(seed)
    for _ in range(rounds):
        names = list(contestants)
        order.shuffle(names)
        _round(contestants, tracks, names, slice_s, tell, between)
    return tracks


def _round(
    contestants: Mapping[str, TakeTurn],
    tracks: Mapping[str, Track],
    names: Sequence[str],
    seconds: float,
    tell: Callable[[str], None],
    between: Callable[[], None],
) -> None:
    for name in names:
        track = tracks[name]
        tell(name)
        if track.error is not None:
            continue
        between()
        try:
            track.whole.add(contestants[name](seconds))
        except Exception as error:  # whatever a runtime raises is its row's end, not the benchmark's
            track.error = one_line(error)
        else:
            track.turns += 1
