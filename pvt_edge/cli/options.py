"""Options that several commands have, and values that they read the same way."""

import csv
import json
import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvt_edge.errors import DataError
from pvt_edge.weights.labels import LABEL_SETS, get_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

BUNDLE_HELP = "The folder an export wrote."
DEVICE_HELP = "auto, cpu, cuda:0 ..."
THREADS_HELP = "Threads. Default: the runtime's choice."
IOU_HELP = "NMS overlap. Default: the bundle's."
CLASSES_HELP = (
    "Only these: names or ids, comma-separated; may be repeated. A name goes before an id; quote names with commas."
)
MAX_DET_HELP = "Most detections. Default: the bundle's."
PIXEL_MAX_HELP = "What is white in pictures of 16 bits, such as 4095. Default: the bundle's, else 65535."

BundleFolder = Annotated[Path, typer.Argument(help=BUNDLE_HELP)]
Device = Annotated[str, typer.Option(help=DEVICE_HELP)]
Threads = Annotated[int | None, typer.Option(min=1, help=THREADS_HELP)]
PixelMaxValue = Annotated[str | None, typer.Option("--pixel-max", help=PIXEL_MAX_HELP, metavar="N|auto")]
JsonReport = Annotated[
    str | None, typer.Option("--json", help="Write a machine-readable report; - is stdout.", metavar="PATH")
]


def console_beside(json: str | None) -> "Console":
    """Where people are told: standard output, or standard error where `--json -` takes the other.

    Of a fixed file: libraries that draw on sys.stdout are redirected while they run.
    """
    from rich.console import Console

    return Console(file=sys.stderr if json == "-" else sys.stdout, soft_wrap=True)


def parse_imgsz(text: str) -> tuple[int, int]:
    """(height, width) of "640" or "480,640"; wrong usage otherwise."""
    parts = text.replace("x", ",").split(",")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise typer.BadParameter(f"{text!r} is no size: write 640, or height,width such as 480,640")
    return (sides[0], sides[-1])


def parse_list(text: str) -> tuple[str, ...]:
    """The names of "a,b,c"."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def parse_classes(texts: "Sequence[str]", labels: "Sequence[str]") -> list[str]:
    """The classes of "RBC,2": of each text itself where it is a label, else its parts; quotes keep commas.

    Wrong usage where there is no class in it.
    """
    found = [part for text in texts for part in ([text] if text in labels else _comma_separated(text))]
    if not found:
        raise typer.BadParameter("--classes names no class: write names or ids, such as RBC,2")
    return found


def _comma_separated(text: str) -> list[str]:
    """The parts of 'a,"b, c"'."""
    rows = csv.reader([text], skipinitialspace=True)
    return [name for row in rows for part in row if (name := part.strip())]


def parse_points(text: str, option: str) -> tuple[tuple[int, int], ...]:
    """The points of "x1,y1,x2,y2": whole pixels, x before y; wrong usage otherwise."""
    try:
        values = [int(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        values = []
    if len(values) < 4 or len(values) % 2:
        raise typer.BadParameter(
            f"{option} {text!r} is no list of points: write x1,y1,x2,y2 in pixels, such as 0,240,640,240"
        )
    return tuple(zip(values[::2], values[1::2], strict=True))


def parse_channels(text: str | None, option: str) -> tuple[float, float, float] | None:
    """The numbers of "0.5,0.5,0.5", or of "0.5" for all three channels; wrong usage otherwise."""
    if text is None:
        return None
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        values = []
    values = values * 3 if len(values) == 1 else values
    if len(values) != 3 or not all(map(isfinite, values)):
        raise typer.BadParameter(f"{option} {text!r} is not three numbers: write one a channel, 0.485,0.456,0.406")
    return (values[0], values[1], values[2])


def check_json(target: str | None) -> None:
    """Raise `DataError` where `--json` names a place that cannot be written: before the work, not after it."""
    if target is None or target == "-":
        return
    place = Path(target)
    if not target or place.is_dir() or not place.absolute().parent.is_dir():
        why = "is a folder" if target and place.is_dir() else "is in no folder that exists"
        raise DataError(f"cannot write {target!r}, which {why}: choose another place with --json")


def write_json(content: dict[str, Any], target: str) -> None:
    """Write `content` to the file `target`, or to standard output for "-"."""
    text = json.dumps(content, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write {target}: {error.strerror or error}: choose another place with --json"
        ) from error


def read_labels(path: Path) -> tuple[str, ...]:
    """Labels of a text file, one a line, in class order; or those of the data set that `path` names."""
    if str(path) in LABEL_SETS:
        return get_labels(str(path))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # with or without Windows' mark
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the labels in {path}: {error}: give a text file, one label a line, or imagenet or coco"
        ) from error
    return tuple(line.strip() for line in lines if line.strip())
