"""A picture -> a file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError

WRITABLE = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def write_image(path: Path, image: NDArray[np.uint8]) -> Path:
    """The path, after writing `image` (H, W, 3) uint8 BGR in the format of its suffix; folders are made.

    `DataError` for an unknown suffix or a place that cannot be written.
    """
    import cv2

    if path.suffix.lower() not in WRITABLE:
        raise DataError(f"cannot write {path}: the suffix must be one of {' '.join(WRITABLE)}")
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix.lower() in (".jpg", ".jpeg") else []
    packed, data = cv2.imencode(path.suffix.lower(), image, options)
    if not packed:
        raise DataError(f"cannot write {path}: OpenCV cannot encode {path.suffix}; take .png or .jpg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    return path
