"""Options that several commands have, values that they read the same way, and options from a file (`--config`)."""

import csv
import inspect
import json
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.weights.published import LABEL_SETS, get_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

VARIABLE = re.compile(r"\$\{(\w+)\}")
# What a value must be, by the type of the command's parameter, and how that is called.
TEXT, NUMBER, WHOLE = ((str,), 'a text such as "out"'), ((float, int), "a number"), ((int,), "a whole number")
KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    str: TEXT,
    Path: TEXT,
    float: NUMBER,
    int: WHOLE,
    bool: ((bool,), "true or false"),
}
NUMBERED = ("sources", "classes", "slice", "pixel_max")  # texts that may be a number: a camera's, a class's, pixels
BUNDLE_HELP = "The folder an export wrote."
BundleFolder = Annotated[Path, typer.Argument(help=BUNDLE_HELP)]
JsonReport = Annotated[
    str | None, typer.Option("--json", help="Write a machine-readable report; - is stdout.", metavar="PATH")
]


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the options in the TOML file at `path` this command's defaults; what is on the command line wins.

    Keys are the options' names, `max-age = 150`; what may be given several times is a list. ${NAME} in a text is the
    environment's, so that no password has to be in the file. `DataError` for a file that cannot be read and for a
    value of the wrong kind, `UnknownNameError` for a key that is no option.
    """
    if path is None:
        return None
    kinds = _kinds(context)
    given = _read_toml(path)
    for key, value in given.items():
        if isinstance(value, dict):
            raise DataError(f"{path} has a section [{key}]: write all options without sections, {key} = ...")
        if key.replace("-", "_") not in kinds:
            raise UnknownNameError(f"option in {path}:", key, [name.replace("_", "-") for name in kinds])
    read = {key.replace("-", "_"): value for key, value in given.items()}
    context.default_map = {name: _fit(value, kinds[name], name, path) for name, value in read.items()}
    return path


def _kinds(context: typer.Context) -> dict[str, Any]:
    """The command's parameters with their types, less None; but --config itself."""
    hints = get_type_hints(inspect.unwrap(context.command.callback or read_config))
    names = [str(parameter.name) for parameter in context.command.params]
    kinds = {name: [one for one in get_args(hints[name]) or [hints[name]] if one is not type(None)] for name in names}
    return {name: possible[0] for name, possible in kinds.items() if name != "config"}


def _read_toml(path: Path) -> dict[str, Any]:
    tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f'{path} is not TOML: {error}; lines look like: save = "out.mp4"') from error


def _fit(value: Any, kind: Any, name: str, path: Path) -> Any:
    """The value with the environment's in it; `DataError` where it is not of this kind."""
    if get_origin(kind) is list:
        return [_fit(one, str, name, path) for one in (value if isinstance(value, list) else [value])]
    if name in NUMBERED and type(value) is int:
        return str(value)
    accepted, called = KINDS[kind]
    if type(value) not in accepted:
        raise DataError(f"{path}: {name.replace('_', '-')} must be {called}, not {value!r}")
    return VARIABLE.sub(lambda found: _of_environment(found[1], path), value) if isinstance(value, str) else value


def _of_environment(name: str, path: Path) -> str:
    if name not in os.environ:
        raise DataError(f"{path} uses ${{{name}}}, which the environment does not have: export {name}=...")
    return os.environ[name]


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
    if target is None:
        return
    if target == "-":
        if sys.stdout is None:
            raise DataError("cannot write to standard output, which is closed: give a file with --json")
        return
    place = Path(target)
    folder = place.absolute().parent
    why = None
    if not target or not folder.is_dir():
        why = "is in no folder that exists"
    elif place.is_dir():
        why = "is a folder"
    elif not os.access(place if place.exists() else folder, os.W_OK):
        why = "may not be written"
    if why is not None:
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
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"cannot read the labels in {path}: {reason}: give a text file, one label a line, or imagenet or coco"
        ) from error
    return tuple(line.strip() for line in lines if line.strip())
