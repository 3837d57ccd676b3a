"""Annotations of pictures that their EXIF turns by a quarter, with sizes as stored: how the boxes are meant.

Pictures are read as they are displayed. Some tools write the size of the picture as it is stored, and boxes either
way: a box that fits only one of the two says which.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from pvt_edge.data.coco_faults import Content, Item
from pvt_edge.sources.jpeg_header import JpegHeader, read_jpeg_header

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
