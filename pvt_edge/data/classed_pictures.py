"""Pictures with a class each: a sub-folder a class, or a text file or CSV table with a path and a label a line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pvt_edge.data.labelled_set import ClassSample, ClassSet
from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.label_names import label_index
from pvt_edge.sources.images import list_pictures
from pvt_edge.sources.picture_kind import why_unusable

FILE_COLUMNS = ("file", "filename", "file_name", "path", "image", "image_path", "picture")
CLASS_COLUMNS = ("class", "label", "category", "class_name", "target")
PART_COLUMNS = ("split", "set", "subset", "part")
SHOWN = 3  # faults that a message lists


def read_image_folder(folder: str | Path, labels: Sequence[str] | None = None) -> ClassSet:
    """The pictures of the sub-folders of `folder`, each named by one of the model's `labels` or by its index.

    Without `labels` the classes are the sub-folders, in order of their names. A label that is a number goes before an
    index. Hidden names, files that are no images and deeper folders are passed over. Raises `DataError` for a
    sub-folder of no class or of several, and where there is no picture.
    """
    folder = Path(folder)
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        names = tuple(path.name for path in classes) if labels is None else tuple(labels)
        indices = [_label_index(path, names) for path in classes]
        samples = [
            ClassSample(file, index)
            for path, index in zip(classes, indices, strict=True)
            for file in list_pictures(path)
        ]
        unusable = {sample.path: why for sample in samples if (why := why_unusable(sample.path))}
        samples = [sample for sample in samples if sample.path not in unusable]
    except OSError as error:
        raise DataError(f"cannot list {error.filename or folder}: {error.strerror or error}") from error
    if not samples:
        inside = f"its {len(classes)} sub-folders hold none" if classes else "it has no sub-folders"
        raise DataError(f"no labelled images in {folder}: {inside}; {_expected(names)}")
    left_out = tuple(f"{file}: {why}" for file, why in unusable.items())
    return ClassSet(folder, names, tuple(samples), left_out=left_out)


def _label_index(folder: Path, labels: Sequence[str]) -> int:
    try:
        index = label_index(folder.name, labels)
    except DataError as error:
        raise DataError(f"cannot use {folder}: {error}") from error
    if index is None:
        raise DataError(f"cannot use {folder}: {UnknownNameError('class', folder.name, labels)}; {_expected(labels)}")
    return index


def _expected(labels: Sequence[str]) -> str:
    if not labels:
        return "expected are sub-folders of images, one a class"
    return f"expected are sub-folders of images, each named by a label or its index (0 to {len(labels) - 1})"


class _Row(NamedTuple):
    line: int
    path: str
    label: str
    part: str = ""


def read_image_list(
    file: str | Path, images: str | Path, labels: Sequence[str] | None = None, part: str | None = None
) -> ClassSet:
    """The pictures of a text file with lines such as "cats/1.jpg tabby cat"; paths are seen from the folder `images`.

    A label is one of the model's `labels` or its index, behind a tab, a comma or blanks; both may hold commas and
    blanks, so the longest label that the model has counts. Empty lines and those that begin with # are passed over. A
    file that ends in .csv is a table: its columns are called file and class, or it has two without a head; of one with
    a column `split`, `part` takes the rows of that name. Without `labels` the classes are those of the file, in order
    of their names.

    Raises `DataError`, with the line's number, for a line without a path or without a class of the model.
    """
    file = Path(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no list of pictures: it is not text ({error.reason})") from error
    table = file.suffix.lower() == ".csv"
    rows = [*_table(text, file, strict=labels is None)] if table else []
    if part is not None and any(row.part for row in rows):
        rows = [row for row in rows if row.part == part]
    if labels is None:
        rows = rows if table else [*_lines_without_labels(text, file)]
        names = tuple(sorted({row.label for row in rows}))
    else:
        names = tuple(labels)
    samples: list[ClassSample] = []
    faults, seen = [], dict[str, tuple[int, int]]()  # path -> (line, class)
    for line, path, label in [row[:3] for row in rows] if rows or labels is None else _lines(text, names, file):
        try:
            index = label_index(label, names)
            if index is None:
                raise DataError(f"{UnknownNameError('class', label, names)}; or its index, 0 to {len(names) - 1}")
            before, other = seen.setdefault(path, (line, index))
            if other != index:
                raise DataError(
                    f"{path} is {names[index]!r} here and {names[other]!r} in line {before}: it has one class"
                )
            samples.append(ClassSample(Path(images) / path, index))
        except DataError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(f"{file}, {'; '.join(faults[:SHOWN])}{more}")
    if not samples:
        raise DataError(f"{file} lists no pictures: expected are lines such as: pictures/1.jpg {(*names, 'cat')[0]}")
    return ClassSet(file, names, tuple(samples))


def list_parts(file: Path) -> set[str]:
    """The parts (train, val) that a table tells of itself; empty where it does not."""
    if file.suffix.lower() != ".csv":
        return set()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}") from error
    return {row.part for row in _table(text, file, strict=True)} - {""}


def _table(text: str, file: Path, *, strict: bool) -> Iterator[_Row]:
    """The rows of a table of pictures and classes; none where it is a list of lines after all, unless `strict`."""
    numbered = enumerate(csv.reader(text.splitlines()), 1)
    try:
        rows = [(number, row) for number, row in numbered if any(map(str.strip, row)) and not row[0].startswith("#")]
    except csv.Error as error:
        raise DataError(f"cannot read {file} as a table: {error}; is there a quote that does not end?") from error
    if not rows:
        return
    head = [cell.strip().lower() for cell in rows[0][1]]
    named = {kind: _column(head, known) for kind, known in (("file", FILE_COLUMNS), ("class", CLASS_COLUMNS))}
    if None not in named.values():
        rows = rows[1:]
    elif len(head) == 2 and set(named.values()) == {None}:
        named = {"file": 0, "class": 1}
    elif not strict:
        return
    else:
        raise DataError(
            f"{file} has the columns {', '.join(head)}: expected are a column {FILE_COLUMNS[0]} and a column "
            f"{CLASS_COLUMNS[0]} (or {', '.join((*FILE_COLUMNS[1:], *CLASS_COLUMNS[1:]))}), or two without a head"
        )
    at_file, at_class, at_part = named["file"] or 0, named["class"] or 0, _column(head, PART_COLUMNS)
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        if len(cells) <= max(at_file, at_class) or not cells[at_file] or not cells[at_class]:
            raise DataError(f"{file}, line {number}: {','.join(row)!r} is not a file and a class")
        part = cells[at_part] if at_part is not None and len(cells) > at_part else ""
        yield _Row(number, cells[at_file], cells[at_class], part)


def _column(head: list[str], names: Sequence[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


def _lines_without_labels(text: str, file: Path) -> Iterator[_Row]:
    """Lines whose class nobody has named yet: what follows the tab, else the last comma, else the last blank."""
    for number, line in _content(text):
        sign = next((sign for sign in "\t," if sign in line), " ")
        path, _, label = line.rpartition(sign) if sign != "\t" else line.partition(sign)
        if not path.strip() or not label.strip():
            raise DataError(f"{file}, line {number}: {line!r} is not a path and a label, such as: pictures/1.jpg cat")
        yield _Row(number, path.strip(), label.strip())


def _lines(text: str, labels: Sequence[str], file: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in _content(text):
        try:
            yield (number, *_split(line, labels))
        except DataError as error:
            raise DataError(f"{file}, line {number}: {error}") from error


def _content(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _split(line: str, labels: Sequence[str]) -> tuple[str, str]:
    """(path, label) of a line."""
    splits = _splits(line)
    for path, name in splits:
        if label_index(name, labels) is not None:
            return path, name
    if not splits:
        raise DataError(f"{line!r} is not a path and a label, such as: pictures/1.jpg {(*labels, 'cat')[0]}")
    raise DataError(f"{UnknownNameError('class', splits[-1][1], labels)}; or its index, 0 to {len(labels) - 1}")


def _splits(line: str) -> list[tuple[str, str]]:
    """(path, what follows) at each place where the label may begin, the longest first.

    A tab is sure to part them. A blank behind a comma is not tried: "1.jpg, taby cat" is no file "1.jpg, taby".
    """
    signs, end = ("\t", len(line)) if "\t" in line else (", ", line.rfind(",") + 1 or len(line))
    places = [i for i, sign in enumerate(line[:end]) if sign in signs]
    splits = [(line[:i].rstrip("\t, "), line[i + 1 :].strip()) for i in places]
    return [(path, name) for path, name in splits if path and name]
