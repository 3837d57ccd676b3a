"""A class by what people write: its label, or its index in digits."""

from collections.abc import Sequence

from pvt_edge.errors import DataError

MOST_DIGITS = 18  # of an index; int() fails for thousands


def label_index(name: str, labels: Sequence[str]) -> int | None:
    """The index of the label `name`, or the index that it spells, labels first; None where it is neither.

    Raises `DataError` for a name that several classes have.
    """
    places = [i for i, label in enumerate(labels) if label == name]
    if len(places) == 1:
        return places[0]
    if places:  # ImageNet has two cranes
        alternatives = " or ".join(str(i) for i in places)
        raise DataError(f"{len(places)} classes are called {name!r}; name it {alternatives}")
    if not name.isdecimal() or len(name) > MOST_DIGITS:
        return None
    return int(name) if int(name) < len(labels) else None
