"""`--config stream.toml`: a command's options from a file."""

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from pvt_edge.errors import DataError, UnknownNameError

VARIABLE = re.compile(r"\$\{(\w+)\}")


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the options in the TOML file at `path` this command's defaults; what is on the command line wins.

    Keys are the options' names, `max-age = 150`; ${NAME} in a text is the environment's, so that no password has
    to be in the file. `DataError` for a file that cannot be read, `UnknownNameError` for a key that is no option.
    """
    if path is None:
        return None
    given = _read_toml(path)
    names = {name.lstrip("-"): p.name for p in context.command.params for name in (p.opts or [p.name or ""])}
    names |= {str(p.name): p.name for p in context.command.params}
    names.pop("config", None)
    for key in given:
        if key not in names:
            raise UnknownNameError(f"key in {path}:", key, names)
    context.default_map = {str(names[key]): _expand(value, path) for key, value in given.items()}
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f'{path} is not TOML: {error}; lines look like: save = "out.mp4"') from error


def _expand(value: Any, path: Path) -> Any:
    if isinstance(value, list):
        return [_expand(one, path) for one in value]
    if not isinstance(value, str):
        return value

    def of_environment(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise DataError(f"{path} uses ${{{found[1]}}}, which the environment does not have: export {found[1]}=...")
        return os.environ[found[1]]

    return VARIABLE.sub(of_environment, value)
