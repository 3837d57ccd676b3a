"""COCO annotation files: images with labelled boxes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """One annotated image: boxes xyxy (n, 4) float32 in pixels, labels (n,) int64 counting from 0."""

    path: Path
    image_id: int
    boxes_xyxy: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"


@dataclass(frozen=True)
class CocoDataset:
    """A COCO JSON file read: `names[i]` is the category behind label i, `category_ids[i]` its id in the file."""

    annotations: Path
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    samples: tuple[Sample, ...]


def read_coco(annotations: Path, images: Path) -> CocoDataset:
    """The data set of a COCO JSON file whose pictures lie in the folder `images`.

    Crowd boxes are left out. `DataError` when the file is not COCO JSON or speaks of unknown images or categories.
    """
    try:
        content = json.loads(annotations.read_text())
        categories = sorted(content["categories"], key=lambda c: c["id"])
        label_of = {c["id"]: i for i, c in enumerate(categories)}
        found: dict[int, list[tuple[list[float], int]]] = {image["id"]: [] for image in content["images"]}
        for item in content["annotations"]:
            if not item.get("iscrowd", 0):
                found[item["image_id"]].append((item["bbox"], label_of[item["category_id"]]))
        samples = tuple(
            Sample(
                images / image["file_name"],
                image["id"],
                _xyxy([box for box, _ in found[image["id"]]]),
                np.array([label for _, label in found[image["id"]]], np.int64),
            )
            for image in content["images"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"cannot read {annotations} as COCO annotations: {type(error).__name__}: {error}") from error
    names = tuple(str(c["name"]) for c in categories)
    return CocoDataset(annotations, names, tuple(label_of), samples)


def _xyxy(boxes_xywh: list[list[float]]) -> "NDArray[np.float32]":
    if any(len(box) != 4 for box in boxes_xywh):
        raise ValueError("a bbox is four numbers: x, y, width, height")
    boxes = np.array(boxes_xywh, np.float32).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError("a bbox is not finite")
    boxes[:, 2:] += boxes[:, :2]
    return boxes
