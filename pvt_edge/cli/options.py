"""Options that several commands have, and values that they read the same way."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvt_edge.errors import DataError
from pvt_edge.weights.labels import LABEL_SETS, get_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

BUNDLE_HELP = "The folder an export wrote."

BundleFolder = Annotated[Path, typer.Argument(help=BUNDLE_HELP)]
JsonReport = Annotated[
    str | None, typer.Option("--json", help="Write a machine-readable report; - is stdout.", metavar="PATH")
]


def console_beside(json: str | None) -> "Console":
    """Where people are told: standard output, or standard error where `--json -` takes the other.

    Of a fixed file: libraries that draw on sys.stdout are redirected while they run.
    """
    from rich.console import Console

    return Console(file=sys.stderr if json == "-" else sys.stdout, soft_wrap=True)


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


def parse_batch(text: str, dynamic: bool) -> tuple[int, tuple[int, int, int] | None]:
    """(batch, profile) of "8", or of "1,4,16" with a dynamic batch: the profile's best is the batch."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or min(numbers, default=0) < 1:
        why = f"{text!r} is no batch: write 8, or with --dynamic-batch lowest,best,highest: 1,4,16"
        raise typer.BadParameter(why, param_hint="--batch")
    if len(numbers) == 1:
        return numbers[0], None
    if not dynamic:
        why = f"a profile of batches ({text}) is for --dynamic-batch; a static batch is one number"
        raise typer.BadParameter(why, param_hint="--batch")
    return numbers[1], (numbers[0], numbers[1], numbers[2])


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
