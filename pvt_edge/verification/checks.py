"""What two sides must have in common to be compared."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import BundleError
from pvt_edge.tasks import get_task
from pvt_edge.verification.comparing import compare
from pvt_edge.verification.tolerance import tolerance

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle

    Arrays = Mapping[str, NDArray[Any]]


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
