"""What each block loses when it alone is in INT8, and which to raise to float so that a budget holds.

The same for every back end: what runs a placement is a function that the caller gives.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from pvt_edge.export.precision.judge import lost
from pvt_edge.export.precision.record import BlockSensitivity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.export.precision.judge import Judge

    Outputs = Callable[[Collection[str], Sequence[NDArray[np.uint8]]], Sequence[Arrays]]

PICTURES = 8


def measure_blocks(
    blocks: Sequence[str], judge: "Judge", outputs: "Outputs", on_step: Callable[[str], None]
) -> Iterator[BlockSensitivity]:
    """What each of `blocks` loses alone, on a few pictures of `judge`, as it is measured.

    Args:
        blocks: By name.
        judge: With the reference.
        outputs: (the blocks in INT8, pictures (1, H, W, 3)) -> a mapping a picture.
        on_step: Called with what is tried, in words.
    """
    few = judge.few(PICTURES)
    base = few.value(few.reference)
    for number, block in enumerate(blocks, 1):
        on_step(f"block {number} of {len(blocks)} alone in INT8: {block}")
        value, details = few.judge(outputs({block}, few.inputs))
        rounded = {key: round(figure, 6) for key, figure in details.items()}
        yield BlockSensitivity(block=block, drop=round(lost(base, value), 6), details=rounded, ms_saved=None)


def raise_blocks(
    blocks: frozenset[str],
    sensitivities: Sequence[BlockSensitivity],
    holds: Callable[[int, frozenset[str]], bool],
) -> None:
    """Try `blocks` with as few raised to float as hold the budget, those that lose most per millisecond first.

    By halving: the loss is taken to fall as blocks are raised. `holds` judges (how many were raised, the others), and
    remembers what it was given.
    """
    order = [row.block for row in sorted(sensitivities, key=most_sensitive_first)]
    raised = [block for block in order if block in blocks]
    low, high = 1, len(raised) - 1
    while low <= high:
        count = (low + high) // 2
        if holds(count, blocks - frozenset(raised[:count])):
            high = count - 1
        else:
            low = count + 1


def most_sensitive_first(row: BlockSensitivity) -> tuple[float, float]:
    """Sorts by what is lost per millisecond saved; a block that saves nothing comes first of all that lose."""
    saved = max(row.ms_saved or 0.0, 1e-3)
    drift = row.details.get("score_drift", 1 - row.details.get("cosine", row.details.get("agreement", 1.0)))
    return (-row.drop / saved, -drift / saved)
