"""How the command line spells an option that Python has as a field."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Flag:
    """Stands in the `Annotated` type of a field of an options object; `pvt_edge.cli.spread` makes an option of it.

    Attributes:
        help: What the option does, for `--help`.
        spelled: "--format", "--ema/--no-ema"; by default the name with hyphens.
        name: The parameter's name where it is not the field's.
        metavar: What `--help` shows in the value's place.
        min: The lowest number.
        max: The highest.
        kind: The type of what is typed, where the field's is another.
        panel: The heading that `--help` lists it under; by default the command's for the whole object.
        default: As typed, where the field's is of another type; `...` where it is the field's.
        read: Makes the field's value of what is typed.
    """

    help: str
    spelled: str = ""
    name: str = ""
    metavar: str | None = None
    min: float | None = None
    max: float | None = None
    kind: type | None = None
    panel: str | None = None
    default: Any = ...
    read: Callable[[Any], Any] | None = None
