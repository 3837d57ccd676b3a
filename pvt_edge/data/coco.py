"""COCO annotation files: images with labelled boxes.

Pictures are read as they are displayed. Of those that their EXIF turns by a quarter, some tools write the size as it
is stored, and boxes either way: a box that fits only one of the two says which.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pvt_edge.data.coco_file import Content, Item, check_boxes_within, check_content, read_coco_file
from pvt_edge.data.labelled_set import BoxSample, BoxSet
from pvt_edge.data.picture_paths import find_pictures
from pvt_edge.errors import DataError
from pvt_edge.sources.picture_kind import JpegHeader, read_jpeg_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

Turned: TypeAlias = dict[object, tuple[Item, JpegHeader]]  # by image id
SLACK = 1  # a pixel, which is rounding


def as_displayed(content: Content, paths: Sequence[Path]) -> tuple[Content, list[str]]:
    """(the content with sizes and boxes of the pictures as displayed, notes, a line each); `paths` are the images'.

    Raises `ValueError` where some boxes fit only the displayed pictures and others only the stored ones.
    """
    turned = _find(content, paths)
    if not turned:
        return content, []
    displayed, stored = _votes(content, turned)
    what = f"pictures that their EXIF turns by a quarter, with width and height as stored: {len(turned)}"
    if displayed and stored:
        raise ValueError(
            f"{what}; of their boxes {len(displayed)} fit only the picture as displayed (annotation {displayed[0]}) "
            f"and {len(stored)} only as stored (annotation {stored[0]}): annotate all in one way, or save the pictures "
            "without EXIF orientation"
        )
    annotations = content["annotations"]
    if stored:
        annotations = [
            item | {"bbox": _turn_box(item["bbox"], turned[item["image_id"]][1])}
            if item["image_id"] in turned
            else item
            for item in annotations
        ]
    how = "the boxes fit only those and were turned with them" if stored else "the boxes fit the displayed pictures"
    if not displayed and not stored and any(item["image_id"] in turned for item in annotations):
        how = "the boxes fit both ways and are taken as of the pictures displayed; check with predict that they are"
    images = [
        image | {"width": image["height"], "height": image["width"]} if image["id"] in turned else image
        for image in content["images"]
    ]
    return {**content, "images": images, "annotations": annotations}, [f"{what}; {how}"]


def _find(content: Content, paths: Sequence[Path]) -> Turned:
    """The images whose file says a quarter turn, and whose stated size is the one before it."""
    found: Turned = {}
    for image, path in zip(content["images"], paths, strict=True):
        size = (image.get("width"), image.get("height"))
        if None in size or size[0] == size[1]:
            continue
        header = read_jpeg_header(path)
        if header is not None and header.swaps_sides and header.stored_wh == size:
            found[image["id"]] = (image, header)
    return found


def _votes(content: Content, turned: Turned) -> tuple[list[object], list[object]]:
    """The annotations that fit only the displayed picture, and only the stored one, by id or else number."""
    displayed: list[object] = []
    stored: list[object] = []
    for number, item in enumerate(content["annotations"]):
        if item["image_id"] not in turned:
            continue
        width, height = turned[item["image_id"]][1].stored_wh
        as_stored, as_shown = _fits(item["bbox"], width, height), _fits(item["bbox"], height, width)
        if as_shown != as_stored:
            (displayed if as_shown else stored).append(item.get("id", f"number {number}"))
    return displayed, stored


def _fits(box: list[float], width: int, height: int) -> bool:
    x, y, w, h = box
    return min(x, y) >= -SLACK and x + w <= width + SLACK and y + h <= height + SLACK


def _turn_box(box: list[float], header: JpegHeader) -> list[float]:
    """The box x, y, width, height of the stored picture in the displayed one (EXIF 2.32, 4.6.4)."""
    x, y, w, h = box
    width, height = header.stored_wh
    left = height - (y + h) if header.orientation in (6, 7) else y
    top = width - (x + w) if header.orientation in (7, 8) else x
    return [left, top, h, w]


def read_coco(annotations: Path, images: Path) -> BoxSet:
    """The data set of a COCO JSON file whose pictures lie in the folder `images`.

    Pictures that are not at the path as written are looked for by their name (`find_pictures`), sizes and boxes are
    those of the pictures as displayed (`as_displayed`), crowd boxes are left out. `DataError` when the file is not COCO
    JSON or has faults (`read_coco_file`).
    """
    try:
        content = read_coco_file(annotations)
        paths, moved = find_pictures([image["file_name"] for image in content["images"]], images)
        return _box_set(annotations, content, paths, moved)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot read {annotations} as COCO annotations: {reason}: check the path") from error
    except ValueError as error:
        raise DataError(f"cannot read {annotations} as COCO annotations: {error}") from error


def as_box_set(source: Path, content: Content, paths: Sequence[Path], left_out: Sequence[str] = ()) -> BoxSet:
    """The data set of labels that another format was read into as COCO `content`, with the `paths` of its images.

    The same faults are refused as in a COCO file, and the same oddities noted.
    """
    try:
        check_content(content)
        return replace(_box_set(source, content, paths, []), left_out=tuple(left_out))
    except ValueError as error:
        raise DataError(f"cannot use the labels of {source}: {error}") from error


def _box_set(source: Path, content: Content, paths: Sequence[Path], notes: Sequence[str]) -> BoxSet:
    content, turned = as_displayed(content, paths)
    check_boxes_within(content)
    categories = sorted(content["categories"], key=lambda c: c["id"])
    label_of = {c["id"]: i for i, c in enumerate(categories)}
    found: dict[int, list[tuple[list[float], int]]] = {image["id"]: [] for image in content["images"]}
    for item in content["annotations"]:
        if not item.get("iscrowd", 0):
            found[item["image_id"]].append((item["bbox"], label_of[item["category_id"]]))
    samples = tuple(
        BoxSample(
            path,
            image["id"],
            _xyxy([box for box, _ in found[image["id"]]]),
            np.array([label for _, label in found[image["id"]]], np.int64),
            _size_wh(image),
        )
        for image, path in zip(content["images"], paths, strict=True)
    )
    names = tuple(str(c["name"]) for c in categories)
    all_notes = (*notes, *turned, *_notes(content, samples))
    return BoxSet(source, names, samples, all_notes, category_ids=tuple(label_of), content=content)


def _size_wh(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return None if width is None or height is None else (width, height)


def _xyxy(boxes_xywh: list[list[float]]) -> "NDArray[np.float32]":
    boxes = np.array(boxes_xywh, np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _notes(content: Content, samples: tuple[BoxSample, ...]) -> list[str]:
    annotations = content["annotations"]
    flat = sum(not (item["bbox"][2] and item["bbox"][3]) for item in annotations)
    empty = sum(not len(sample.labels) for sample in samples)
    crowds = sum(bool(item.get("iscrowd", 0)) for item in annotations)
    over = sum(_reaches_out(sample) for sample in samples)
    ids = Counter(repr(item["id"]) for item in annotations if item.get("id") is not None)
    same = sum(count for count in ids.values() if count > 1)
    notes = [
        (flat, f"boxes without area: {flat}; no detection can match them"),
        (over, f"boxes that reach out of their picture: {over}; they are taken as they are"),
        (crowds, f"crowd boxes: {crowds}; they are neither to be found nor wrong when found, as COCO has it"),
        (empty, f"pictures without boxes: {empty}; whatever is found there is wrong"),
        (same, f"annotations that share an id: {same}; each counts, of which pycocotools by hand would forget some"),
        ("0" in ids, "an annotation has the id 0; it counts, where pycocotools by hand would take it for no match"),
    ]
    return [line for count, line in notes if count]


def _reaches_out(sample: BoxSample) -> int:
    """How many boxes of the picture do so by more than `SLACK`."""
    if sample.size_wh is None or not len(sample.labels):
        return 0
    boxes, limit = sample.boxes_xyxy, np.array(sample.size_wh)
    return int(((boxes[:, :2] < -SLACK) | (boxes[:, 2:] > limit + SLACK)).any(axis=1).sum())
