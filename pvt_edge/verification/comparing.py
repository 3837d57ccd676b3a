"""The answers of two sides to one picture -> their difference."""

from typing import TYPE_CHECKING

from pvt_edge.comparison.difference import Arrays, Difference, Tally
from pvt_edge.comparison.figure import FIGURES
from pvt_edge.comparison.vectors import is_finite
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec


def compare(task: str, found: Arrays, reference: Arrays, post: "PostprocessSpec") -> Difference:
    """The difference of what two artifacts give for one picture, a batch axis of 1; boxes in the same pixels.

    What is measured says the task's own `compare`. Where a side is not finite nothing agrees.
    """
    row = get_task(task)
    broken, broken_reference = _not_finite(found), _not_finite(reference)
    if not broken and not broken_reference:
        return row.compare(found, reference, post)
    matches = row.compare(found, reference, post).matches if row.has_thresholds else None
    # how far apart they are is no number
    lost = {name: Tally(0, 1 if FIGURES[name].least else 0) for name in row.figures}
    return Difference(lost, broken, broken_reference, matches)


def _not_finite(arrays: Arrays) -> tuple[str, ...]:
    return tuple(name for name, array in arrays.items() if not is_finite(array))
