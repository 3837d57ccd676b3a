"""A picture -> a file."""

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.atomic import write_file
from pvt_edge.errors import DataError

WRITABLE = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MARK = b"Software\0pvt-edge"  # tells a file of ours from one of the user's
JPEG_START, PNG_START = 2, 33  # bytes before the first place for a comment: a marker; a signature and the header


def write_image(path: Path, image: NDArray[np.uint8]) -> Path:
    """The path, after writing `image` (H, W, 3) uint8 BGR whole, in the format of its suffix; folders are made.

    `DataError` for an unknown suffix or a place that cannot be written.
    """
    import cv2

    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise DataError(f"cannot write {path}: the suffix must be one of {' '.join(WRITABLE)}")
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix in (".jpg", ".jpeg") else []
    try:
        packed, data = cv2.imencode(suffix, image, options)
    except cv2.error as error:  # a side longer than the format allows
        raise DataError(f"cannot write {path}: {error.err}; take .png") from error
    if not packed:
        raise DataError(f"cannot write {path}: OpenCV cannot encode {path.suffix}; take .png or .jpg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, marked(data.tobytes(), suffix), sync=False)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    return path


def marked(data: bytes, suffix: str) -> bytes:
    """An encoded picture with `MARK`: as JPEG's comment, PNG's text, or behind the end, where readers do not look."""
    if suffix in (".jpg", ".jpeg"):
        return data[:JPEG_START] + b"\xff\xfe" + (len(MARK) + 2).to_bytes(2, "big") + MARK + data[JPEG_START:]
    if suffix == ".png":
        chunk = b"tEXt" + MARK
        packed = len(MARK).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        return data[:PNG_START] + packed + data[PNG_START:]
    return data + MARK
