"""The one form of a refusal: path, colon, reason, on one line."""

from collections.abc import Collection
from os import PathLike

from pvt_edge.errors import WeightsError

SHOWN = 3  # names listed before the count


def refuse(path: str | PathLike[str], reason: object) -> WeightsError:
    """`WeightsError` "path: reason" on one line, control characters gone: names come from files."""
    text = " ".join(f"{path}: {reason}".split())
    return WeightsError("".join(c if c.isprintable() else "?" for c in text))


def first_few(names: Collection[str]) -> str:
    """The count and the first names: '5 (a, b, c, ...)'; long names are cut."""
    shown = [name if len(name) <= 100 else name[:97] + "..." for name in list(names)[:SHOWN]]
    more = ["..."] if len(names) > SHOWN else []
    return f"{len(names)} ({', '.join(shown + more)})"
