"""A picture -> a file."""

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.atomic import write_file
from pvt_edge.errors import DataError

WRITABLE = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MARK = b"Software\0pvt-edge"  # tells a file of ours from one of the user's
PNG_HEADER, INDEXED = slice(12, 29), 3  # IHDR's kind and data, in which the fourth byte from the end is the colour type
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
    return _write(path, marked(data.tobytes(), suffix))


def write_index_png(path: Path, indices: NDArray[np.unsignedinteger], palette_rgb: NDArray[np.uint8] | None) -> Path:
    """The path, after writing indices (H, W) of 8 or 16 bits whole as a PNG, those of 8 bits with a palette (256, 3).

    `DataError` for a place that cannot be written.
    """
    import cv2

    packed, data = cv2.imencode(".png", indices)
    if not packed:
        raise DataError(f"cannot write {path}: OpenCV cannot encode a mask {indices.shape}")
    content = data.tobytes()
    if palette_rgb is not None:  # grey of 8 bits is stored as indices are: the header alone says which it is
        header = bytearray(content[PNG_HEADER])
        header[-4] = INDEXED
        header += zlib.crc32(header).to_bytes(4, "big")
        content = (
            content[: PNG_HEADER.start] + bytes(header) + _chunk(b"PLTE", palette_rgb.tobytes()) + content[PNG_START:]
        )
    return _write(path, marked(content, ".png"))


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content, sync=False)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def marked(data: bytes, suffix: str) -> bytes:
    """An encoded picture with `MARK`: as JPEG's comment, PNG's text, or behind the end, where readers do not look."""
    if suffix in (".jpg", ".jpeg"):
        return data[:JPEG_START] + b"\xff\xfe" + (len(MARK) + 2).to_bytes(2, "big") + MARK + data[JPEG_START:]
    if suffix == ".png":
        return data[:PNG_START] + _chunk(b"tEXt", MARK) + data[PNG_START:]
    return data + MARK
