"""What the classes of index masks are called, and which value stands for each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pvt_edge.class_map import VOID
from pvt_edge.errors import DataError

BACKGROUND = "background"  # the name of the class of what is none of the others
FILES = ("classes.txt", "classes.json")
EXPECTED = (
    'expected is a list of names, or an object with "names" or with "categories" of id and name, and perhaps '
    '"reduce_zero_label"'
)


@dataclass(frozen=True)
class ClassTable:
    """The `names` of the classes, the `values` that stand for them in a mask, and whether 0 there is no label."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    reduce_zero_label: bool = False
    known: bool = True  # whether the data itself says so


def read_class_table(folders: Sequence[Path], reduce_zero_label: bool = False) -> ClassTable | None:
    """The table in the first of `folders` that has one; None where none has.

    A `classes.txt` has a name a line, a `classes.json` a list of names or an object. Raises `DataError` for one that
    is neither.
    """
    file = next((folder / name for folder in folders for name in FILES if (folder / name).is_file()), None)
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8-sig")
        content: Any = json.loads(text) if file.suffix == ".json" else [line.strip() for line in text.splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the classes of {file}: {error}") from error
    if isinstance(content, list) and not any(isinstance(item, dict) for item in content):
        return numbered([str(name) for name in content if str(name)], reduce_zero_label, file)
    if isinstance(content, list):
        content = {"categories": content}
    if not isinstance(content, dict):
        raise DataError(f"{file} holds no classes: {EXPECTED}")
    reduced = content.get("reduce_zero_label", False)
    if not isinstance(reduced, bool):
        raise DataError(f"{file}: reduce_zero_label is true or false, not {reduced!r}")
    if "categories" in content:
        return table_of_categories(content["categories"], file, reduced or reduce_zero_label)
    names = content.get("names")
    if isinstance(names, dict):
        names = [{"id": int(key) if str(key).isdecimal() else key, "name": name} for key, name in names.items()]
        return table_of_categories(names, file, reduced or reduce_zero_label)
    if not isinstance(names, list) or not names:
        raise DataError(f"{file} holds no classes: {EXPECTED}")
    return numbered([str(name) for name in names], reduced or reduce_zero_label, file)


def table_of_categories(categories: Any, file: Path, reduce_zero_label: bool = False) -> ClassTable:
    """The table of COCO's categories, objects with `id` and `name`, in order of their ids."""
    try:
        pairs = sorted((one["id"], str(one["name"])) for one in categories)
    except (TypeError, KeyError) as error:
        raise DataError(f"{file}: a category is an object with id and name ({error!r})") from error
    wrong = [number for number, _ in pairs if type(number) is not int or not 0 <= number <= VOID]
    if wrong or not pairs:
        raise DataError(f"{file}: ids of categories are whole numbers from 0 to {VOID - 1}, not {wrong[:1] or 'none'}")
    pairs = [pair for pair in pairs if not (reduce_zero_label and pair[0] == 0)]
    return _checked(ClassTable(tuple(n for _, n in pairs), tuple(i for i, _ in pairs), reduce_zero_label), file)


def with_background(table: ClassTable) -> ClassTable:
    """The table with a class for what is none of them, 0, where 0 is not taken."""
    if 0 in table.values or BACKGROUND in table.names:
        return table
    return replace(table, names=(BACKGROUND, *table.names), values=(0, *table.values))


def numbered(names: Sequence[str], reduce_zero_label: bool, source: Path, *, known: bool = True) -> ClassTable:
    """The table of classes in order; if 0 is no label, the first of them has the value 1."""
    first = int(reduce_zero_label)
    values = tuple(range(first, first + len(names)))
    return _checked(ClassTable(tuple(names), values, reduce_zero_label, known), source)


def _checked(table: ClassTable, source: Path) -> ClassTable:
    if not table.names:
        raise DataError(f"{source} names no class: {EXPECTED}")
    twice = sorted({name for name in table.names if table.names.count(name) > 1})
    if table.known and twice:
        raise DataError(f"{source} names the class {twice[0]!r} twice")
    if len(set(table.values)) < len(table.values):
        raise DataError(f"{source} gives two classes one id")
    if VOID in table.values or len(table.names) > VOID:
        count = f"{len(table.names)} classes up to {table.values[-1]}"
        raise DataError(f"{source} has {count}: a mask has room for 255, 0 to 254")
    return table
