"""A COCO JSON file -> its content, with every fault that would spoil an evaluation in silence found first."""

import json
from collections.abc import Mapping
from pathlib import Path

from pvt_edge.data.coco_faults import Content, annotation_faults, category_faults, image_faults, outside_faults

KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd"),
    "categories": ("id", "name"),
}
SHOWN = 3  # faults that a message lists


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
    for part, find in (
        ("categories", category_faults),
        ("images", image_faults),
        ("annotations", annotation_faults),  # which relies on the others' ids
    ):
        _refuse(find(content), content, part)


def check_boxes_within(content: Content) -> None:
    """Raises `ValueError` that names the boxes outside their picture."""
    _refuse(outside_faults(content), content, "annotations")


def _refuse(faults: list[str], content: Content, part: str) -> None:
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ValueError(f"{'; '.join(faults[:SHOWN])}{more} (of {len(content[part])} {part})")


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
