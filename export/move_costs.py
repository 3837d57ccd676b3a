"""Every move alone: what it loses and what it saves, by which `--tune full` orders the moves that an export makes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pvt_edge.export.precision.judge import lost
from pvt_edge.export.precision.record import MoveSensitivity
from pvt_edge.export.precision.trial import Trial, has_bf16, measure
from pvt_edge.moves import Moves, single_moves

if TYPE_CHECKING:
    import openvino

    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.variants import Variant

PICTURES = 8
SECONDS = 0.6  # of the clock for a move, half of it for the exact graph
WORTH = 0.01  # of the exact graph's time: what saves less is not made
SETS = 8  # of the greedy order that are tried whole


@dataclass(frozen=True)
class MoveCosts:
    """What was measured, in the order of loss per millisecond saved, and the sets to try: the weakest first."""

    alone: tuple[MoveSensitivity, ...]
    ladder: tuple[Moves, ...]


def measure_moves(
    variant: "Variant",
    imgsz: tuple[int, int],
    build: "Callable[[Moves], openvino.Model]",
    judge: "Judge",
    on_step: Callable[[str], None],
) -> MoveCosts:
    """Try every move alone on this machine.

    Args:
        variant: The backbone's.
        imgsz: (height, width).
        build: The float model for OpenVINO that makes moves.
        judge: Some of whose pictures say what a move loses, against the exact model in float32.
        on_step: Called with each move, in words.

    Returns:
        The moves that save time, by loss per millisecond saved, and unions of the first so many of them.
    """
    few = judge.few(PICTURES)
    exact = Trial(build(Moves()), bf16=False)
    few = replace(few, reference=tuple(exact.run(picture) for picture in few.inputs))
    base, bf16 = few.value(few.reference), has_bf16()
    clock = Trial(build(Moves()), bf16=True) if bf16 else exact
    singles, found = single_moves(variant, imgsz), []
    for number, moves in enumerate(singles, 1):
        words = moves.words(variant)
        on_step(f"move {number} of {len(singles)} alone: {words}")
        model = build(moves)
        moved = Trial(model, bf16=False)
        value, details = few.judge([moved.run(picture) for picture in few.inputs])
        rival, picture = Trial(model, bf16=True) if bf16 else moved, few.inputs[0]
        ms = measure({"exact": partial(clock.run, picture), "moved": partial(rival.run, picture)}, SECONDS)
        row = MoveSensitivity(
            words=words,
            drop=round(lost(base, value), 5),
            details={key: round(number, 7) for key, number in details.items()},
            ms_saved=round(ms["exact"].p50 - ms["moved"].p50, 4),
            exact_ms=ms["exact"].p50,
        )
        found.append((row, moves))
    found.sort(key=lambda pair: loss_per_ms(pair[0]))
    paying = [moves for row, moves in found if row.ms_saved > WORTH * row.exact_ms]
    return MoveCosts(tuple(row for row, _ in found), tuple(greedy_sets(paying)))


def loss_per_ms(row: MoveSensitivity) -> float:
    """What a move loses for a millisecond; moves that lose nothing that can be counted go by how far answers drift."""
    drift = row.details.get("score_drift", 1 - row.details.get("cosine", 1.0))
    return (max(row.drop, 0.0) + drift) / max(row.ms_saved, 1e-3)


def greedy_sets(order: Sequence[Moves]) -> list[Moves]:
    """At most `SETS` unions of the first so many moves of `order`, all of them the last."""
    sizes = sorted({round(len(order) * step / SETS) for step in range(1, SETS + 1)} - {0})
    sets = []
    for size in sizes:
        whole = Moves()
        for moves in order[:size]:
            whole = whole | moves
        sets.append(whole)
    return sets
