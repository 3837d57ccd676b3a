"""What two sides must have in common to be compared, how far they may differ, and how far they do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.comparison.agreement import is_finite
from pvt_edge.comparison.difference import FIGURES, Arrays, Difference, Tally
from pvt_edge.errors import BundleError, RuntimeInputError, described
from pvt_edge.options.run import Limits
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle

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


def check_comparable(bundle: "Bundle", other: "Bundle") -> None:
    """Raise `BundleError` unless two bundles answer the same question."""
    ours, theirs = bundle.manifest, other.manifest
    pairs = [
        ("task", ours.task, theirs.task),
        ("labels", _words(ours.labels), _words(theirs.labels)),
        ("outputs", ", ".join(ours.output_names), ", ".join(theirs.output_names)),
    ]
    for what, mine, other_ in pairs:
        if mine != other_:
            raise BundleError(
                f"cannot compare {bundle.folder} with {other.folder}: their {what} differ ({mine} against {other_}); "
                "give two bundles of the same model"
            )


def other_postprocessing(bundle: "Bundle", other: "Bundle", conf: float | None) -> tuple[str, ...]:
    """A line if two detectors' model.json cut off detections differently, "max_det 1 against 100"; both sides are
    compared with one's, so no answer would show it. A `conf` that is given takes the place of both."""
    if not get_task(bundle.manifest.task).has_thresholds:
        return ()
    ours, theirs = ((one.manifest.postprocess or PostprocessSpec()).model_dump() for one in (bundle, other))
    different = [
        f"{name} {value:g} against {theirs[name]:g}"
        for name, value in ours.items()
        if value != theirs[name] and not (name == "conf" and conf is not None)
    ]
    return (f"postprocessing in model.json differs: {', '.join(different)}",) if different else ()


def check_rows(arrays: "Arrays", task: str, precision: str) -> None:
    """Raise `BundleError` unless all rows of a batch, fed the same picture, answer as the first: they may differ by
    what this precision may differ from the reference, for runtimes need not compute each row by the same kernel."""
    rows = [{name: array[i : i + 1] for name, array in arrays.items()} for i in range(min(map(len, arrays.values())))]
    for number, row in enumerate(rows[1:], 2):
        difference = compare(task, row, rows[0], PostprocessSpec())
        if not difference.broken_reference and difference.severity(tolerance(task, precision)) > 1:
            raise BundleError(f"gives another answer in row {number} of a batch than in row 1 for the same picture")


def _words(labels: tuple[str, ...]) -> str:
    return f"{len(labels)} labels {', '.join(labels[:5])}" if len(labels) <= 5 else f"{len(labels)} labels, {labels!r}"
