"""A COCO JSON file -> its content, with its faults found first.

Faults are what would spoil an evaluation in silence, or stop it after the last picture.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Item = dict[str, Any]
Content = dict[str, list[Item]]
KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd"),
    "categories": ("id", "name"),
}
FLOAT32_MAX = (2 - 2**-23) * 2.0**127  # boxes are float32
INT64 = range(-(2**63), 2**63)
SHOWN_LENGTH = 80  # characters of a value that a message shows
SHOWN_FAULTS = 3  # faults that a message lists


def category_faults(content: Content) -> list[str]:
    """A line for each."""
    categories = content["categories"]
    faults = [f"a category has no {key}" for c in categories for key in ("id", "name") if c.get(key) in (None, "")]
    faults = faults or _id_faults("a category", categories)
    return faults or [*_doubles("categories", "id", categories), *_doubles("categories", "name", categories)]


def image_faults(content: Content) -> list[str]:
    """A line for each."""
    images = content["images"]
    faults = [f"an image has no {key}" for i in images for key in ("id", "file_name") if i.get(key) in (None, "")]
    faults += [
        f"image {_shown(i['id'])} has the file_name {_shown(i['file_name'])}: it is a text"
        for i in images
        if not faults and not isinstance(i["file_name"], str)
    ]
    return faults or _id_faults("an image", images) or _size_faults(images) or _doubles("images", "id", images)


def annotation_faults(content: Content) -> list[str]:
    """A line for each; images and categories have to be without faults."""
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    faults = []
    for number, item in enumerate(content["annotations"]):
        fault = _annotation_fault(item, images, categories)
        if fault:
            faults.append(f"{_name(item, number)} {fault}")
    return faults


def _name(item: Item, number: int) -> str:
    """Its id, which may be anything: boxes are numbered afresh where they are counted."""
    if "id" not in item:
        return f"annotation number {number}, which has no id,"
    return f"annotation {_shown(item['id'])}"


def _annotation_fault(item: Item, images: dict[Any, Item], categories: set[Any]) -> str | None:
    for key in ("image_id", "category_id", "bbox"):
        if key not in item:
            return f"has no {key}"
    if item["image_id"] not in images:
        return f"is of image {item['image_id']!r}, which the file does not list"
    if item["category_id"] not in categories:
        return f"is of category {item['category_id']!r}, which the file does not list"
    if not _is_size(item.get("area", 0)):
        return f"has the area {_shown(item['area'])}: an area is a finite number of square pixels, 0 or more"
    if item.get("iscrowd", 0) not in (0, 1):  # which False and True are
        return f"has the iscrowd {_shown(item['iscrowd'])}: it is 0 or 1"
    return _box_fault(item["bbox"])


def outside_faults(content: Content) -> list[str]:
    """A line for each box that lies outside its picture; everything else has to be without faults."""
    images = {image["id"]: image for image in content["images"]}
    faults = []
    for number, item in enumerate(content["annotations"]):
        width, height = (images[item["image_id"]].get(key) for key in ("width", "height"))
        x, y, w, h = item["bbox"]
        if None not in (width, height) and (x >= width or y >= height or x + w < 0 or y + h < 0):
            picture = f"its picture of {width}x{height} pixels"
            faults.append(f"{_name(item, number)} has the bbox {item['bbox']} outside {picture}")
    return faults


def _box_fault(box: Any) -> str | None:
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return f"has the bbox {_shown(box)}: a bbox is four numbers, x, y, width and height"
    if not all(_is_finite(value) for value in box):
        return f"has the bbox {_shown(box)}, which is not finite in float32"
    x, y, width, height = box
    if width < 0 or height < 0:
        return f"has the bbox {box} of negative size: the order is x, y, width, height"
    if not _is_finite(x + width) or not _is_finite(y + height):
        return f"has the bbox {box}, whose far corner is not finite in float32"
    return None


def _id_faults(name: str, items: list[Item]) -> list[str]:
    """Of ids that numpy, with which pycocotools sorts them, would make into others: mixed ones, or too large."""
    ids = [item["id"] for item in items]
    if all(isinstance(value, str) for value in ids):
        return []
    wrong = [value for value in ids if not (_is_integer(value) and value in INT64)]
    return [f"{name} has the id {_shown(v)}: ids are all integers within int64, or all strings" for v in wrong]


def _size_faults(images: list[Item]) -> list[str]:
    return [
        f"image {image['id']!r} has the {key} {_shown(image[key])}: expected is a number of pixels, or none"
        for image in images
        for key in ("width", "height")
        if image.get(key) is not None and not _is_size(image[key])
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_finite(value: float) -> bool:
    return abs(value) <= FLOAT32_MAX  # math.isfinite fails for integers beyond float64; NaN is not


def _is_size(value: Any) -> bool:
    return _is_number(value) and _is_finite(value) and value >= 0


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."


def _doubles(part: str, key: str, items: Iterable[Item]) -> list[str]:
    counts = Counter(item[key] for item in items)
    return [f"{count} {part} have the {key} {value!r}" for value, count in counts.items() if count > 1]


def read_coco_file(path: Path, *, regions: bool = False) -> Content:
    """The file's content: lists of objects "images", "annotations" and "categories", of those `KEYS` that they have,
    with `regions` the annotations' "segmentation" too.

    Raises `OSError` where it cannot be read, `ValueError` that names the faults: it is no COCO JSON; ids that are
    missing, double, unknown, of mixed types or too large (those of annotations may be anything); names that are missing
    or double; boxes that are not four finite numbers or have a negative size; sizes, areas and crowd flags that are
    none.
    """
    content = _load(path, {**KEYS, "annotations": (*KEYS["annotations"], "segmentation")} if regions else KEYS)
    check_content(content)
    return content


def check_content(content: Content) -> None:
    """Raises `ValueError` that names the faults, of content that need not have come from a file."""
    try:
        for part, find in (
            ("categories", category_faults),
            ("images", image_faults),
            ("annotations", annotation_faults),  # which relies on the others' ids
        ):
            _refuse(find(content), content, part)
    except TypeError as error:  # ids and names that are lists
        raise ValueError(f"TypeError: {error}") from error


def check_boxes_within(content: Content) -> None:
    """Raises `ValueError` that names the boxes outside their picture."""
    _refuse(outside_faults(content), content, "annotations")


def _refuse(faults: list[str], content: Content, part: str) -> None:
    if faults:
        more = f" and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        raise ValueError(f"{'; '.join(faults[:SHOWN_FAULTS])}{more} (of {len(content[part])} {part})")


def _load(path: Path, kept: Mapping[str, tuple[str, ...]]) -> Content:
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without the mark that Windows writes first
        if not text.strip():
            raise ValueError("the file is empty")
        content = json.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    wanted = f"expected is an object with the lists {', '.join(KEYS)}"
    if not isinstance(content, dict):
        kind = "a list, as files of detections are" if isinstance(content, list) else f"a {type(content).__name__}"
        raise ValueError(f"it holds {kind}; {wanted}")
    absent = [part for part in KEYS if not isinstance(content.get(part), list)]
    if absent:
        raise ValueError(f"it has no list {' and no list '.join(absent)}; {wanted}")
    for part in KEYS:
        if any(not isinstance(item, dict) for item in content[part]):
            raise ValueError(f"not all of its {part} are objects; {wanted}")
    return {
        part: [{key: item[key] for key in keys if key in item} for item in content[part]] for part, keys in kept.items()
    }
