"""How the command line spells an option that Python has as a field, and reads its text; wrong usage is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn


def parse_imgsz(text: str, option: str = "") -> tuple[int, int]:
    """(height, width) of "640" or "480,640"; wrong usage of the `option` otherwise."""
    parts = text.replace("x", ",").split(",")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        _refuse(f"{option and option + ' '}{text!r} is no size: write 640, or height,width such as 480,640")
    return (sides[0], sides[-1])


def parse_list(text: str) -> tuple[str, ...]:
    """The names of "a,b,c"."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def parse_points(text: str, option: str) -> tuple[tuple[int, int], ...]:
    """The points of "x1,y1,x2,y2": whole pixels, x before y; wrong usage otherwise."""
    try:
        values = [int(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        values = []
    if len(values) < 4 or len(values) % 2:
        _refuse(f"{option} {text!r} is no list of points: write x1,y1,x2,y2 in pixels, such as 0,240,640,240")
    return tuple(zip(values[::2], values[1::2], strict=True))


def parse_channels(text: str, option: str) -> tuple[float, float, float]:
    """The numbers of "0.5,0.5,0.5", or of "0.5" for all three channels; wrong usage otherwise."""
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        values = []
    values = values * 3 if len(values) == 1 else values
    if len(values) != 3 or not all(map(isfinite, values)):
        _refuse(f"{option} {text!r} is not three numbers: write one a channel, 0.485,0.456,0.406")
    return (values[0], values[1], values[2])


def _refuse(why: str) -> NoReturn:
    from typer import BadParameter  # here, so that Python's users need not wait for it

    raise BadParameter(why)


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
