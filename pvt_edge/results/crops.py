"""What boxes hold, cut out of their picture into files."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.pictures.files import write_image

NO_NAME = re.compile(r"[^\w.-]+")  # what a class's name may have and a file's name should not
LONGEST = 60  # letters of a class's name: file systems allow 255 bytes


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
        base = f"{stem}_{NO_NAME.sub('-', name)[:LONGEST]}"
        path = _free(folder, base, numbers)
        written.append(write_image(path, np.ascontiguousarray(image[y0:y1, x0:x1])))
    return written


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
