"""The classes of a data set and those of a model, matched by name."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError

if TYPE_CHECKING:
    from pvt_edge.data.labelled_set import BoxSet

SHOWN = 8


def match_classes(dataset: "BoxSet", labels: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """({class of the bundle: category id of the data set}, notes on classes that only one of them has).

    Raises `DataError` where boxes are of a class that the bundle does not know, or there is no box.
    """
    counts = dataset.counts()
    if not sum(counts.values()):
        raise DataError(f"{dataset.source} has no boxes in its {len(dataset.samples)} pictures: AP needs some")
    refuse_unknown_classes(dataset.source, counts, labels, "boxes")
    unknown = [name for name in dataset.names if name not in labels]
    absent = [label for label in labels if label not in dataset.names]
    empty = [name for name in dataset.names if not counts[name] and name in labels]
    notes = [
        (empty, f"classes without boxes: {_names(empty)}; they have no AP and do not count in the mean"),
        (unknown, f"categories that the bundle does not know, without boxes: {_names(unknown)}; left out"),
        (absent, f"classes that the data does not have: {_names(absent)}; what is found of them is left out"),
    ]
    ids = dict(zip(dataset.names, dataset.category_ids, strict=True))
    known = {i: ids[label] for i, label in enumerate(labels) if label in ids}
    return known, [line for names, line in notes if names]


def refuse_unknown_classes(source: Path, counts: Mapping[str, int], labels: Sequence[str], things: str) -> None:
    """Raise `DataError` where there are `things` of a class, by its name in `counts`, that the bundle does not know."""
    wrong = {name: count for name, count in counts.items() if count and name not in labels}
    if wrong:
        shown = ", ".join(f"{name!r} ({count} {things}{_nearest(name, labels)})" for name, count in _first(wrong))
        raise DataError(
            f"{source} has classes that the bundle does not know: {shown}; the bundle's are "
            f"{_names(labels)}: rename them there, or export again with --labels"
        )


def _nearest(name: str, labels: Sequence[str]) -> str:
    near = get_close_matches(name.lower(), [label.lower() for label in labels], n=1)
    found = [label for label in labels if near and label.lower() == near[0]]
    return f", did you mean {found[0]!r}?" if found else ""


def _first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return list(counts.items())[:SHOWN]


def _names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
