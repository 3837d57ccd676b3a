"""YOLO's labels: a data.yaml, and a text file beside each picture with a box or polygon a line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pvt_edge.data.coco import as_box_set
from pvt_edge.data.coco_file import Content, Item
from pvt_edge.data.labelled_set import BoxSet
from pvt_edge.data.picture_paths import displayed_size
from pvt_edge.errors import DataError
from pvt_edge.sources.images import list_pictures

SHOWN = 3  # faults that a message lists
SLACK = 0.02  # beyond 0..1, which is rounding
PARTS = {"train": ("train",), "val": ("val", "valid", "validation", "test")}


def read_yolo(data: Path, part: str) -> BoxSet | None:
    """The boxes of one part, "train" or "val", that a data.yaml names; None where it names no such part.

    A part is a folder of pictures, a text file with a picture's path a line, or a list of these, seen from the file's
    `path`. The labels of `images/a/x.jpg` are in `labels/a/x.txt`, or beside the picture: lines "class cx cy w h" in
    shares of the picture's sides, or "class x1 y1 x2 y2 x3 y3 ..." for a polygon, of which the box around it is taken.
    A picture without a text file has no objects. `DataError` names the lines that are neither.
    """
    content = load_yaml(data)
    given = next((content[key] for key in PARTS[part] if content.get(key)), None)
    if given is None:
        return None
    base = _base(data, content)
    files = [file for place in (given if isinstance(given, list) else [given]) for file in _pictures(base, str(place))]
    if not files:
        raise DataError(f"{data}: no pictures in {given} ({part}), seen from {base}")
    return read_label_files(data, files, class_names(data, content))


def class_names(data: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """The names in a data.yaml, a list or a map, by the class's number."""
    names = content.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataError(f"{data} has no names: expected is a list of the classes, such as names: [cat, dog]")
    try:
        return {int(number): str(name) for number, name in sorted(names.items(), key=lambda item: int(item[0]))}
    except (TypeError, ValueError) as error:
        raise DataError(f"{data}: the names of its classes are numbered {', '.join(map(str, names))}") from error


def read_label_files(source: Path, pictures: Sequence[Path], names: Mapping[int, str]) -> BoxSet:
    """The boxes of these pictures, from their text files."""
    images: list[Item] = []
    annotations: list[Item] = []
    faults, left_out, paths, seen = [], [], [], 0
    for picture in pictures:
        labels = label_file(picture)
        seen += labels.is_file()
        size = displayed_size(picture)
        if size is None:
            left_out.append(f"{picture}: it cannot be read as a picture")
            continue
        found, wrong = _read_labels(labels, names, size)
        faults += wrong
        number = len(images)
        images.append({"id": number, "file_name": picture.name, "width": size[0], "height": size[1]})
        annotations += [{"image_id": number, **item} for item in found]
        paths.append(picture)
    if not seen:
        raise DataError(
            f"{source}: none of its {len(pictures)} pictures has labels: those of {pictures[0]} are expected in "
            f"{label_file(pictures[0])}"
        )
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(f"cannot use the labels of {source}: {'; '.join(faults[:SHOWN])}{more}")
    categories: list[Item] = [{"id": number, "name": name} for number, name in names.items()]
    content: Content = {
        "images": images,
        "annotations": [{"id": i, **item} for i, item in enumerate(annotations, 1)],
        "categories": categories,
    }
    return as_box_set(source, content, paths, left_out)


def label_file(picture: Path) -> Path:
    """Where the labels of a picture are: `labels` in the place of the last folder `images`, else beside it."""
    parts = list(picture.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    swapped = picture
    if places:
        parts[places[-1]] = "labels"
        swapped = Path(*parts)
    beside = picture.with_suffix(".txt")
    return beside if beside.is_file() and not swapped.with_suffix(".txt").is_file() else swapped.with_suffix(".txt")


def load_yaml(data: Path) -> dict[str, Any]:
    """What a data.yaml holds. Raises `DataError` where it is none."""
    import yaml

    try:
        content = yaml.safe_load(data.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # a date such as 2001-13-45 is a ValueError
        raise DataError(f"cannot read {data}: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{data} is no data.yaml: expected are the keys train, val and names")
    return content


def _base(data: Path, content: Mapping[str, Any]) -> Path:
    """The folder that a data.yaml's places are seen from: its `path` where that is there, else its own."""
    own = data.parent
    given = content.get("path")
    if given is None:
        return own
    return next((place for place in (own / str(given), Path(str(given))) if place.is_dir()), own)


def _pictures(base: Path, place: str) -> Iterator[Path]:
    """The pictures of a folder, at any depth, or of a list."""
    path = base / place
    if not path.exists() and place.startswith("../"):  # as some services write it, whatever lies where
        path = base / place.removeprefix("../")
    if path.is_dir() and not any(list_pictures(path)) and (path / "images").is_dir():
        path = path / "images"
    if path.is_dir():
        folders = sorted((path, *(inner for inner in path.rglob("*") if inner.is_dir())))
        yield from (picture for folder in folders for picture in list_pictures(folder))
    elif path.is_file():
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {path} as a list of pictures, a path a line: {error}") from error
        for line in lines:
            if line.strip():
                inner = Path(line.strip())
                yield inner if inner.is_absolute() else path.parent / inner
    else:
        raise DataError(f"{path} is not there: mend it in the data.yaml, whose places are seen from {base}")


def _read_labels(
    file: Path, names: Mapping[int, str], size_wh: tuple[int, int]
) -> tuple[list[dict[str, Any]], list[str]]:
    """(the boxes of one picture in pixels, what is wrong with the file)."""
    if not file.is_file():
        return [], []
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{file}: {error}"]
    found, faults = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            category, box = _parse(line, names)
        except ValueError as error:
            faults.append(f"{file}, line {number}: {error}")
            continue
        x1, y1, x2, y2 = (
            min(max(value, 0.0), 1.0) * side for value, side in zip(box, (*size_wh, *size_wh), strict=True)
        )
        found.append({"category_id": category, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    return found, faults


def _parse(line: str, names: Mapping[int, str]) -> tuple[int, tuple[float, float, float, float]]:
    """(class, box xyxy in 0..1) of a line; `ValueError` says what is wrong with it."""
    cells = line.split()
    category, *values = (float(cell) for cell in cells)
    if category not in names:
        raise ValueError(f"class {cells[0]} is none of {', '.join(map(str, names))}")
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise ValueError(f"{line!r} is neither class cx cy w h nor class x1 y1 x2 y2 x3 y3 ...")
    if not all(-SLACK <= value <= 1 + SLACK for value in values):
        raise ValueError(f"{line!r} is not in shares 0..1 of the picture's sides")
    if len(values) == 4:
        cx, cy, w, h = values
        return int(category), (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return int(category), (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
