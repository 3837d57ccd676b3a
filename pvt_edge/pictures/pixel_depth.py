"""Pixels of more than 8 bits -> 8 bits."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError

PixelMax: TypeAlias = float | Literal["auto"] | None
DEPTHS = (1, 255, 1023, 4095, 16383, 65535)  # floating point from 0 to 1, and 8 to 16 bits
FULL = 65535
LOW = 16383  # 16-bit pixels that stay below are of a camera of 14 bits or fewer


def check_pixel_max(value: "str | float | None") -> PixelMax:
    """The value that is white, "auto", or None for the pixels' own range. `DataError` for anything else.

    >>> check_pixel_max("4095")
    4095.0
    """
    if value is None or value == "auto":
        return value if value is None else "auto"
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise DataError(f"the pixel maximum is a number above 0, such as 4095 for 12 bits, or auto, not {value!r}")
    return number


def nearest_depth(highest: float) -> int:
    """The least of `DEPTHS` that holds `highest`.

    >>> nearest_depth(4000)
    4095
    """
    return next((depth for depth in DEPTHS if highest <= depth), DEPTHS[-1])


def to_8_bits(image: NDArray[Any], pixel_max: PixelMax = None) -> NDArray[np.uint8]:
    """The pixels times 255 / `pixel_max`, rounded, in 0..255. 8-bit pixels are given back as they are.

    `pixel_max` None is 65535 for 16 bits; "auto" is the least usual depth that holds the picture's highest value.
    Raises `DataError` for other pixels (floating point, signed) without `pixel_max`, and for those of no number.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype != np.uint16:
        if pixel_max is None:
            raise DataError(f"its pixels are {image.dtype}: say which value is white with --pixel-max (pixel_max=)")
        if not np.isfinite(image).all():
            raise DataError("some of its pixels are no numbers")
    white: float
    if pixel_max == "auto":
        highest = float(image.max(initial=0))
        white = nearest_depth(max(highest, 255) if image.dtype == np.uint16 else highest)
    else:
        white = pixel_max or FULL
    if image.dtype == np.uint16:
        if white == FULL:
            return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
        levels = np.arange(FULL + 1, dtype=np.float64) * 255 / white
        return np.asarray(np.clip(levels + 0.5, 0, 255.5).astype(np.uint8)[image], np.uint8)
    return np.clip(image.astype(np.float64) * 255 / white + 0.5, 0, 255.5).astype(np.uint8)
