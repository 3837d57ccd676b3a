"""What two sides must have in common to be compared, and what an answer must look like."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import BundleError
from pvt_edge.verification.difference import compare
from pvt_edge.verification.tolerance import tolerance

if TYPE_CHECKING:
    from pvt_edge.bundle import Bundle
    from pvt_edge.bundle.schema import Task

    Arrays = Mapping[str, NDArray[Any]]


def check_comparable(bundle: "Bundle", other: "Bundle") -> None:
    """Raise `BundleError` unless two bundles answer the same question."""
    ours, theirs = bundle.manifest, other.manifest
    pairs = [
        ("task", ours.task, theirs.task),
        ("labels", _words(ours.labels), _words(theirs.labels)),
        ("outputs", ", ".join(ours.outputs), ", ".join(theirs.outputs)),
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
    if bundle.manifest.task != "detect":
        return ()
    ours, theirs = ((one.manifest.postprocess or PostprocessSpec()).model_dump() for one in (bundle, other))
    told = [
        f"{name} {value:g} against {theirs[name]:g}"
        for name, value in ours.items()
        if value != theirs[name] and not (name == "conf" and conf is not None)
    ]
    return (f"postprocessing in model.json differs: {', '.join(told)}",) if told else ()


def check_shapes(found: "Arrays", reference: "Arrays", task: str) -> None:
    """Raise `BundleError` unless outputs can be compared value by value; detectors match boxes instead."""
    if task == "detect":
        return
    for name, want in reference.items():
        if name not in found or found[name].shape != want.shape:
            shape = found[name].shape if name in found else "nothing"
            raise BundleError(f"gives {shape} for {name}, the reference {want.shape}: export both at the same size")


def check_answer(arrays: "Arrays", task: str, names: Sequence[str]) -> None:
    """Raise `BundleError` unless these outputs are those of a model of that task that knows the classes `names`."""
    if task == "detect":
        _check_detections(arrays)
        scored = arrays["labels"][arrays["scores"] > 0]
        _check_classes(int(scored.min(initial=0)), int(scored.max(initial=-1)) + 1, names)
    elif task == "classify":
        if arrays["logits"].ndim != 2:
            raise BundleError(f"gives logits {arrays['logits'].shape}, not (batch, classes); export again")
        _check_classes(0, arrays["logits"].shape[1], names)


def check_rows(arrays: "Arrays", task: "Task", precision: str) -> None:
    """Raise `BundleError` unless all rows of a batch, fed the same picture, answer as the first: they may differ by
    what this precision may differ from the reference, for runtimes need not compute each row by the same kernel."""
    rows = [{name: array[i : i + 1] for name, array in arrays.items()} for i in range(min(map(len, arrays.values())))]
    for number, row in enumerate(rows[1:], 2):
        difference = compare(task, row, rows[0], PostprocessSpec())
        if not difference.broken_reference and difference.severity(tolerance(task, precision)) > 1:
            raise BundleError(f"gives another answer in row {number} of a batch than in row 1 for the same picture")


def _check_detections(arrays: "Arrays") -> None:
    boxes, scores, labels = (arrays[name].shape for name in ("boxes", "scores", "labels"))
    if len(boxes) != 3 or boxes[2] != 4 or scores != boxes[:2] or labels != boxes[:2]:
        raise BundleError(
            f"gives boxes {boxes}, scores {scores} and labels {labels}, not (batch, n, 4), (batch, n) and (batch, n); "
            "export again"
        )


def _check_classes(least: int, count: int, names: Sequence[str]) -> None:
    if least < 0:
        raise BundleError(f"gives the class id {least}, and ids count from 0; export again")
    if count > len(names):
        raise BundleError(f"knows {count} classes and model.json names {len(names)}; export again")


def _words(labels: tuple[str, ...]) -> str:
    return f"{len(labels)} labels {', '.join(labels[:5])}" if len(labels) <= 5 else f"{len(labels)} labels, {labels!r}"
