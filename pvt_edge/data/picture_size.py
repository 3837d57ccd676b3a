"""The size of a picture without decoding it."""

import warnings
from pathlib import Path

ORIENTATION = 0x0112  # EXIF's


def displayed_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of the picture as it is displayed, turned as its EXIF says; None for what is no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore")
            width, height = picture.size
            turned = picture.getexif().get(ORIENTATION, 1) >= 5
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return (height, width) if turned else (width, height)
