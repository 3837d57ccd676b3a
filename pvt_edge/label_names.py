"""A class by what people write: its label, or its id in digits. The one rule of all commands and calls."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias
from unicodedata import normalize

from pvt_edge.arguments import whole_number
from pvt_edge.errors import ArgumentError, DataError, RuntimeInputError, UnknownNameError, described

MOST_DIGITS = 18  # of an id; int() fails for thousands

Classes: TypeAlias = Iterable[int | str] | int | str


def label_index(name: str, labels: Sequence[str]) -> int | None:
    """The id of the label `name`, or the id that it spells, labels first; None where it is neither.

    Raises `DataError` for a name that several classes have.
    """
    known = normalize("NFC", name)  # macOS takes letters and accents apart in names of folders
    places = [i for i, label in enumerate(labels) if normalize("NFC", label) == known]
    if len(places) == 1:
        return places[0]
    if places:  # ImageNet has two cranes
        alternatives = " or ".join(str(i) for i in places)
        raise DataError(f"{len(places)} classes are called {name!r}; name it {alternatives}")
    if not name.isdecimal() or len(name) > MOST_DIGITS:
        return None
    return int(name) if int(name) < len(labels) else None


def class_ids(wanted: Classes, labels: Sequence[str]) -> tuple[int, ...]:
    """The ids of the wanted classes, ascending: a text is a label or else an id in digits, a whole number an id.

    Raises `UnknownNameError` for a text that is neither, `RuntimeInputError` for an id that no class has, `DataError`
    for a label that several have, `ArgumentError` for anything else.
    """
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        return (_class_id(wanted, labels),)
    if isinstance(wanted, (bytes, dict)) or getattr(wanted, "ndim", 1) != 1:
        raise ArgumentError(f"classes must be labels or ids such as ['RBC', 2], not {described(wanted)}")
    return tuple(sorted({_class_id(item, labels) for item in wanted}))


def other_reading(name: str, labels: Sequence[str]) -> int | None:
    """The id that `name` spells where it is the label of another class; None where there is one reading."""
    index = label_index(name, labels)
    spelt = int(name) if name.isdecimal() and len(name) <= MOST_DIGITS else None
    return spelt if spelt is not None and index != spelt and spelt < len(labels) else None


def _class_id(item: object, labels: Sequence[str]) -> int:
    if not labels:
        raise RuntimeInputError(f"classes: this bundle has no classes to choose from, got {item!r}")
    if isinstance(item, str):
        index = label_index(item, labels)
        if index is None:
            raise UnknownNameError("class", item, labels)
        return index
    number = whole_number(item)
    if number is None:
        raise ArgumentError(f"classes must be labels or ids such as ['RBC', 2], not {described(item)}")
    if not 0 <= number < len(labels):
        raise RuntimeInputError(f"class ids go from 0 to {len(labels) - 1} ({labels[-1]!r}); got {item!r}")
    return number
