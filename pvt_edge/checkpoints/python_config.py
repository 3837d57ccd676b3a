"""The configuration that OpenMMLab's tools note in a checkpoint, read as data: nothing of it is run."""

import ast
import json
from collections.abc import Mapping
from typing import Any

_UNKNOWN: Any = object()  # in place of what is no literal


def read_config(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration under `cfg` or `config` of a checkpoint's `meta`; None where there is none that can be read.

    It is a mapping, or the text of one in JSON or in Python: assignments of literals and of `dict(...)`. What is
    neither is left out.
    """
    given = meta.get("cfg", meta.get("config"))
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, str):
        return None
    for text in (given, given.partition("\n")[2]):  # old mmcv writes the file's path on a first line
        if config := _from_json(text) or _from_python(text):
            return config
    return None


def _from_json(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _from_python(text: str) -> dict[str, Any] | None:
    try:
        statements = ast.parse(text).body
        values = {
            statement.targets[0].id: _value(statement.value)
            for statement in statements
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return {name: value for name, value in values.items() if value is not _UNKNOWN}


def _value(node: ast.expr) -> Any:
    """What a literal says, or a call of `dict` with keywords; without those of its items that are something else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        items = {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
        return {key: value for key, value in items.items() if value is not _UNKNOWN}
    if isinstance(node, ast.Dict):
        pairs = [(_value(key), _value(value)) for key, value in zip(node.keys, node.values, strict=True) if key]
        return {k: v for k, v in pairs if isinstance(k, str | int) and v is not _UNKNOWN}
    if isinstance(node, ast.List | ast.Tuple):
        return [value for value in map(_value, node.elts) if value is not _UNKNOWN]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return _UNKNOWN
