"""Boxes and masks as something else: `supervision.Detections`, and crops of their picture as files."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.pictures.files import write_image
from pvt_edge.results.masks import Names, count_pixels

if TYPE_CHECKING:
    from supervision import Detections

    from pvt_edge.results.fields import Boxes

NO_NAME = re.compile(r"[^\w.-]+")  # what a class's name may have and a file's name should not
LONGEST_NAME = 60  # letters of a class's name
LONGEST_BASE = 240  # bytes before the number and the suffix: file systems allow 255 in all


def write_crops(
    folder: Path, stem: str, image: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32], names: Sequence[str]
) -> list[Path]:
    """The files "stem_name_1.jpg", "stem_name_2.jpg" ... in `folder`, one a box of `image` (H, W, 3) BGR.

    A box takes all pixels that it touches. Numbers whose files are there already are passed over.
    """
    height, width = image.shape[:2]
    low = np.clip(np.floor(boxes_xyxy[:, :2]), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(boxes_xyxy[:, 2:]), low + 1, (width, height)).astype(int)
    _make(folder)
    numbers: dict[str, int] = {}
    written = []
    for (x0, y0), (x1, y1), name in zip(low.tolist(), high.tolist(), names, strict=True):
        base = _shortened(f"{stem}_{NO_NAME.sub('-', name)[:LONGEST_NAME]}")
        path = _free(folder, base, numbers)
        written.append(write_image(path, np.ascontiguousarray(image[y0:y1, x0:x1])))
    return written


def _shortened(name: str) -> str:
    """The name, or the beginning of it that a file's name has room for."""
    while len(os.fsencode(name)) > LONGEST_BASE:
        name = name[:-1]
    return name


def _free(folder: Path, base: str, numbers: dict[str, int]) -> Path:
    """The first path of the base's row that is not there yet; `numbers` are the last of each base."""
    while True:
        numbers[base] = numbers.get(base, 0) + 1
        path = folder / f"{base}_{numbers[base]}.jpg"
        if not (path.exists() or path.is_symlink()):
            return path


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {folder}: {error.strerror or error}; choose another place") from error


def box_detections(boxes: "Boxes", names: Names) -> "Detections":
    """The boxes, with their tracks. `RuntimeMissingError` without supervision."""
    return _detections()(
        xyxy=boxes.xyxy,
        confidence=boxes.conf,
        class_id=boxes.cls.astype(int),
        tracker_id=None if boxes.id is None else boxes.id.astype(int),
        data={"class_name": np.array([names[i] for i in boxes.cls.tolist()], dtype=str)},
    )


def mask_detections(mask: NDArray[Any], names: Names) -> "Detections":
    """One detection a class, in order of their ids: its region, and the box around that. Errors as above."""
    import cv2

    ids = sorted(count_pixels(mask))
    regions = np.array([mask == i for i in ids], bool).reshape(len(ids), *mask.shape)
    around = [cv2.boundingRect(region.astype(np.uint8)) for region in regions]
    return _detections()(
        xyxy=np.array([(x, y, x + w, y + h) for x, y, w, h in around], np.float32).reshape(-1, 4),
        mask=regions,
        class_id=np.array(ids, int),
        data={"class_name": np.array([names[i] for i in ids], dtype=str)},
    )


def _detections() -> "type[Detections]":
    try:
        from supervision import Detections
    except ImportError as error:
        raise RuntimeMissingError(
            f'supervision cannot be imported ({error}); pip install "pvt-edge[supervision]"'
        ) from error
    return Detections
