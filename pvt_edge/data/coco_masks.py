"""COCO files with polygons or run lengths, drawn as masks of classes."""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.class_map import VOID
from pvt_edge.data.class_table import BACKGROUND, table_of_categories
from pvt_edge.data.coco_file import Item, read_coco_file
from pvt_edge.data.labelled_set import MaskSample, MaskSet
from pvt_edge.data.picture_paths import displayed_size, find_pictures
from pvt_edge.errors import DataError
from pvt_edge.results.masks import draw_runs, unpacked

SHOWN = 3  # faults that a message lists
FARTHEST = 100_000  # pixels off a picture's corner: pycocotools walks along a polygon, with memory for each step


@dataclass(frozen=True)
class RegionSample(MaskSample):
    """A picture of `size_wh` pixels with `regions`, (class, COCO's segmentation) each, from the back to the front;
    what none covers is the class `background`."""

    size_wh: tuple[int, int] = (1, 1)
    regions: tuple[tuple[int, Any], ...] = ()
    background: int = 0

    def mask(self) -> NDArray[np.uint8]:
        width, height = self.size_wh
        ids = np.full((height, width), self.background, np.uint8)
        for label, segmentation in self.regions:
            ids[draw_region(segmentation, height, width)] = label
        return ids


def draw_region(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels (H, W) of polygons [[x, y, x, y, ...], ...], as pycocotools draws them, or of run lengths {"counts",
    "size"}. Raises `ValueError` for what is neither."""
    if isinstance(segmentation, list):
        from pycocotools import mask as coco

        if not segmentation or any(not isinstance(p, list) or len(p) < 6 or len(p) % 2 for p in segmentation):
            raise ValueError("a polygon is a list of at least three points x, y")
        if any(not -FARTHEST <= value <= FARTHEST for polygon in segmentation for value in polygon):
            raise ValueError(f"a polygon has a point that is not finite or more than {FARTHEST} pixels away")
        counts: Any = coco.merge(coco.frPyObjects(segmentation, height, width))["counts"].decode()
    elif isinstance(segmentation, dict) and {"counts", "size"} <= segmentation.keys():
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"run lengths of {segmentation['size']}, its picture has [{height}, {width}]")
        counts = segmentation["counts"]
    else:
        raise ValueError("a segmentation is a list of polygons or run lengths with counts and size")
    return draw_runs(unpacked(counts) if isinstance(counts, str) else counts, height, width)


def read_coco_masks(annotations: Path, images: Path) -> MaskSet:
    """The data set of a COCO file whose annotations have a `segmentation`; pictures lie in the folder `images`.

    Classes are its categories in order of id, behind a "background" of what no annotation covers unless there is one.
    Where annotations meet the smaller lies in front. Pictures are found as `read_coco` finds them; those that are not
    there are left out. Raises `DataError` for a file that is not COCO, has faults or no segmentation.
    """
    try:
        content = read_coco_file(annotations, regions=True)
        paths, notes = find_pictures([image["file_name"] for image in content["images"]], images)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {annotations} as COCO annotations: {error}") from error
    items = content["annotations"]
    if not any(item.get("segmentation") for item in items):
        raise DataError(
            f"{annotations} has no segmentation in any of its {len(items)} annotations, so boxes alone: a segmenter "
            "needs polygons, run lengths or masks"
        )
    boxes = sum(not item.get("segmentation") for item in items)
    if boxes:
        notes.append(f"annotations without a segmentation: {boxes} of {len(items)}; what they show is background")
    table = table_of_categories(content["categories"], annotations)
    names = table.names if BACKGROUND in table.names else (BACKGROUND, *table.names)
    background = names.index(BACKGROUND)
    class_of = {number: names.index(name) for number, name in zip(table.values, table.names, strict=True)}
    of_image: dict[Any, list[Item]] = defaultdict(list)
    for item in items:
        of_image[item["image_id"]].append(item)
    samples, left_out, faults = [], [], []
    for image, path in zip(content["images"], paths, strict=True):
        size = displayed_size(path)
        if size is None:
            left_out.append(f"{path}: it is not there or cannot be read as a picture")
            continue
        told = (image.get("width"), image.get("height"))
        stated = tuple(there if given is None else given for given, there in zip(told, size, strict=True))
        if stated != size:
            faults.append(
                f"image {image['id']!r} is told to have {stated[0]}x{stated[1]} pixels, {path} has {size[0]}x{size[1]}"
            )
            continue
        regions = tuple(_ordered(of_image[image["id"]], class_of))
        sample = RegionSample(path, annotations, size_wh=size, regions=regions, background=background)
        try:
            present = np.flatnonzero(np.bincount(sample.mask().ravel(), minlength=VOID)).tolist()
        except (ValueError, TypeError) as error:
            faults.append(f"image {image['id']!r}: {error}")
            continue
        samples.append(replace(sample, labels=tuple(present)))
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(f"cannot use the regions of {annotations}: {'; '.join(faults[:SHOWN])}{more}")
    if not samples:
        raise DataError(
            f"none of the pictures of {annotations} can be read: {left_out[0] if left_out else 'it has none'}"
        )
    return MaskSet(annotations, names, tuple(samples), tuple(notes), tuple(left_out))


def _ordered(items: list[Item], class_of: dict[int, int]) -> list[tuple[int, Any]]:
    """(class, segmentation), the largest first, so that what is smaller lies in front."""
    drawn = [item for item in items if item.get("segmentation")]
    drawn.sort(key=lambda item: -float(item.get("area") or item["bbox"][2] * item["bbox"][3]))
    return [(class_of[item["category_id"]], item["segmentation"]) for item in drawn]
