"""A COCO JSON file -> its content, with every fault that would spoil an evaluation in silence found first."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PARTS = ("images", "annotations", "categories")
SHOWN = 3  # faults that a message lists
Content = dict[str, list[dict[str, Any]]]


def read_coco_file(path: Path) -> Content:
    """The file's content: lists of objects "images", "annotations" and "categories", among others.

    Raises `OSError` where it cannot be read, `ValueError` that names the faults: it is no COCO JSON; ids that are
    missing, double or unknown; names that are missing or double; boxes that are not four finite numbers, have a
    negative size or lie outside their picture.
    """
    content = _load(path)
    for part, find in (
        ("categories", _category_faults),
        ("images", _image_faults),
        ("annotations", _annotation_faults),  # which relies on the others' ids
    ):
        if faults := find(content):
            more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
            raise ValueError(f"{'; '.join(faults[:SHOWN])}{more} (of {len(content[part])} {part})")
    return content


def _load(path: Path) -> Content:
    try:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            raise ValueError("the file is empty")
        content = json.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    wanted = f"expected is an object with the lists {', '.join(PARTS)}"
    if not isinstance(content, dict):
        kind = "a list, as files of detections are" if isinstance(content, list) else f"a {type(content).__name__}"
        raise ValueError(f"it holds {kind}; {wanted}")
    absent = [part for part in PARTS if not isinstance(content.get(part), list)]
    if absent:
        raise ValueError(f"it has no list {' and no list '.join(absent)}; {wanted}")
    for part in PARTS:
        if any(not isinstance(item, dict) for item in content[part]):
            raise ValueError(f"not all of its {part} are objects; {wanted}")
    return content


def _category_faults(content: Content) -> list[str]:
    categories = content["categories"]
    faults = [f"a category has no {key}" for c in categories for key in ("id", "name") if c.get(key) in (None, "")]
    return faults or [*_doubles("categories", "id", categories), *_doubles("categories", "name", categories)]


def _image_faults(content: Content) -> list[str]:
    images = content["images"]
    faults = [f"an image has no {key}" for i in images for key in ("id", "file_name") if i.get(key) in (None, "")]
    return faults or _doubles("images", "id", images)


def _annotation_faults(content: Content) -> list[str]:
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    faults = []
    for number, item in enumerate(content["annotations"]):
        name = f"annotation {item['id']}" if "id" in item else f"annotation number {number}, which has no id,"
        fault = _annotation_fault(item, images, categories)
        if fault:
            faults.append(f"{name} {fault}")
    # pycocotools would forget all but the last of them
    return faults or _doubles("annotations", "id", [item for item in content["annotations"] if "id" in item])


def _annotation_fault(item: dict[str, Any], images: dict[Any, dict[str, Any]], categories: set[Any]) -> str | None:
    for key in ("image_id", "category_id", "bbox"):
        if key not in item:
            return f"has no {key}"
    if item["image_id"] not in images:
        return f"is of image {item['image_id']!r}, which the file does not list"
    if item["category_id"] not in categories:
        return f"is of category {item['category_id']!r}, which the file does not list"
    box, image = item["bbox"], images[item["image_id"]]
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return f"has the bbox {box!r}: a bbox is four numbers, x, y, width and height"
    if not all(math.isfinite(value) for value in box):
        return f"has the bbox {box}, which is not finite"
    x, y, width, height = box
    if width < 0 or height < 0:
        return f"has the bbox {box} of negative size: the order is x, y, width, height"
    size = (image.get("width"), image.get("height"))
    if (
        _is_number(size[0])
        and _is_number(size[1])
        and (x >= size[0] or y >= size[1] or x + width < 0 or y + height < 0)
    ):
        return f"has the bbox {box} outside its picture of {size[0]}x{size[1]} pixels"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _doubles(part: str, key: str, items: Iterable[dict[str, Any]]) -> list[str]:
    counts = Counter(item[key] for item in items)
    return [f"{count} {part} have the {key} {value!r}" for value, count in counts.items() if count > 1]
