"""Pictures with a class each: a text file with a path and a label a line."""

from collections.abc import Sequence
from pathlib import Path

from pvt_edge.data.image_folder import ImageFolder
from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.label_names import label_index


def read_image_list(file: str | Path, images: str | Path, labels: Sequence[str]) -> ImageFolder:
    """The pictures of a text file with lines such as "cats/1.jpg tabby cat"; paths are seen from the folder `images`.

    A label is one of the model's `labels` or its index, behind a tab, a comma or blanks; both may hold commas and
    blanks, so the longest label that the model has counts. Empty lines and those that begin with # are passed over.
    Raises `DataError`, with the line's number, for a line without a path or without a class of the model.
    """
    file = Path(file)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no list of pictures: it is not text ({error.reason})") from error
    samples = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            path, label = _split(line.strip(), labels)
        except DataError as error:
            raise DataError(f"{file}, line {number}: {error}") from error
        samples.append((Path(images) / path, label))
    if not samples:
        raise DataError(f"{file} lists no pictures: expected are lines such as: pictures/1.jpg {labels[0]}")
    return ImageFolder(file, tuple(samples))


def _split(line: str, labels: Sequence[str]) -> tuple[str, int]:
    """(path, index of the label) of a line."""
    splits = _splits(line)
    for path, name in splits:
        index = label_index(name, labels)
        if index is not None:
            return path, index
    if not splits:
        raise DataError(f"{line!r} is not a path and a label, such as: pictures/1.jpg {labels[0]}")
    raise DataError(f"{UnknownNameError('class', splits[-1][1], labels)}; or its index, 0 to {len(labels) - 1}")


def _splits(line: str) -> list[tuple[str, str]]:
    """(path, what follows) at each place where the label may begin, the longest first.

    A tab is sure to part them. A blank behind a comma is not tried: "1.jpg, taby cat" is no file "1.jpg, taby".
    """
    signs, end = ("\t", len(line)) if "\t" in line else (", ", line.rfind(",") + 1 or len(line))
    places = [i for i, sign in enumerate(line[:end]) if sign in signs]
    splits = [(line[:i].rstrip("\t, "), line[i + 1 :].strip()) for i in places]
    return [(path, name) for path, name in splits if path and name]
