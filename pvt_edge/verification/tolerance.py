"""How far an artifact may differ from its reference, by task and precision."""

from collections.abc import Mapping

from pvt_edge.comparison.figure import FIGURES
from pvt_edge.errors import RuntimeInputError, described
from pvt_edge.options.verify import Limits
from pvt_edge.tasks import get_task

APPROXIMATED = "approx"  # of all files that make moves, whatever their precision
LOOSENESS = ("fp32", "fp16", "bf16", "int8", APPROXIMATED)


def check_limits(task: str, limits: Limits) -> dict[str, float]:
    """The limits given, by figure. Raises `RuntimeInputError` for one out of range or of another task."""
    options = {FIGURES[name].option: name for name in get_task(task).figures}
    chosen: dict[str, float] = {}
    for option, value in limits.items():
        if value is None:
            continue
        if option not in options:
            raise RuntimeInputError(f"{option} does not judge a {task} bundle: its limits are {', '.join(options)}")
        if not isinstance(value, int | float) or not 0 <= value <= (1 if option.startswith("min_") else float("inf")):
            range_ = "from 0 to 1" if option.startswith("min_") else "from 0"
            raise RuntimeInputError(f"{option} must be a number {range_}, got {described(value)}")
        chosen[options[option]] = float(value)
    return chosen


def outside(task: str, precision: str, figures: Mapping[str, float]) -> str:
    """What of `figures`, by name, an artifact of that precision may not have, in words; "" where all is within."""
    limits = tolerance(task, precision)
    return ", ".join(
        f"{FIGURES[name].words} {FIGURES[name].text(value)}, {FIGURES[name].beyond(value, limits[name])}"
        for name, value in figures.items()
        if not FIGURES[name].within(value, limits[name])
    )


def tolerance(task: str, *precisions: str, given: Mapping[str, float] | None = None) -> dict[str, float]:
    """Limit by figure, in the task's order, for two sides of these precisions: those of the looser, and what is
    `given` in their place."""
    loosest = max(precisions, key=LOOSENESS.index)
    row = get_task(task)
    limits = row.tolerances.get(loosest) or row.tolerances["int8"]
    return {**dict(zip(row.figures, limits, strict=True)), **(given or {})}
