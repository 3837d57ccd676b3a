"""`--config stream.toml`: a command's options from a file."""

import inspect
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer

from pvt_edge.errors import DataError, UnknownNameError

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
    of = {name: [kind for kind in get_args(hints[name]) or [hints[name]] if kind is not type(None)] for name in names}
    return {name: kinds[0] for name, kinds in of.items() if name != "config"}


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
    if name in ("sources", "classes") and type(value) is int:  # a camera's number, a class's id
        return str(value)
    accepted, called = KINDS[kind]
    if type(value) not in accepted:
        raise DataError(f"{path}: {name.replace('_', '-')} must be {called}, not {value!r}")
    return VARIABLE.sub(lambda found: _of_environment(found[1], path), value) if isinstance(value, str) else value


def _of_environment(name: str, path: Path) -> str:
    if name not in os.environ:
        raise DataError(f"{path} uses ${{{name}}}, which the environment does not have: export {name}=...")
    return os.environ[name]
