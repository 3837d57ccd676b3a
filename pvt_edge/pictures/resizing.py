"""A picture of any size and depth -> the input's, boxes and masks back to the picture. numpy and OpenCV only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import ResizeSpec

PixelMax: TypeAlias = float | Literal["auto"] | None
DEPTHS = (1, 255, 1023, 4095, 16383, 65535)  # floating point from 0 to 1, and 8 to 16 bits
FULL = 65535
LOW = 16383  # 16-bit pixels that stay below are of a camera of 14 bits or fewer
PILLOW = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
ACCEPTED = "accepted are uint8 or uint16 pixels of shape (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA"


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


@dataclass(frozen=True)
class Placement:
    """Where a picture of `orig_hw` lies in an input of `input_hw`: x_input = x_original * scale + offset.

    `resized_hw` is the picture's size after scaling; `scale_xy` its true factors, which differ a little, as
    sides are whole pixels; `offset_xy` its top-left corner in the input, negative where a crop cuts it off.
    """

    orig_hw: tuple[int, int]
    input_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    scale_xy: tuple[float, float]
    offset_xy: tuple[int, int]


def plan(orig_hw: tuple[int, int], input_hw: tuple[int, int], spec: "ResizeSpec") -> Placement:
    """The placement of a picture of `orig_hw` in an input of `input_hw`, both (height, width) in pixels.

    letterbox: the largest that fits, sides int(x * f + 0.5) as in mmdet's `rescale_size`, placed top left.
    stretch: both sides freely to the input divided by `crop_fraction`, centred. crop: the smallest that holds the
    input divided by `crop_fraction`, centred; for a square input that is timm's rule, the shorter side at
    input / crop_fraction, and with Pillow's filters the longer one cut to a whole number as timm and transformers do.
    """
    height, width = orig_hw
    # the fraction was divided out of whole sides and may miss them by a last digit
    whole_hw = (int(input_hw[0] / spec.crop_fraction + 1e-6), int(input_hw[1] / spec.crop_fraction + 1e-6))
    if spec.mode == "stretch":
        resized_hw = whole_hw
    elif spec.mode == "letterbox":
        factor = min(input_hw[0] / height, input_hw[1] / width)
        resized_hw = (_scaled(height, factor, input_hw[0]), _scaled(width, factor, input_hw[1]))
    elif spec.interpolation in PILLOW:
        if whole_hw[0] * width >= whole_hw[1] * height:
            resized_hw = (whole_hw[0], max(int(whole_hw[0] * width / height), whole_hw[1]))
        else:
            resized_hw = (max(int(whole_hw[1] * height / width), whole_hw[0]), whole_hw[1])
    else:
        factor = max(whole_hw[0] / height, whole_hw[1] / width)
        resized_hw = (max(round(height * factor), whole_hw[0]), max(round(width * factor), whole_hw[1]))
    offset_xy = (0, 0)
    if spec.mode != "letterbox":
        whole = round if spec.corner == "round" else int
        offset_xy = (-whole((resized_hw[1] - input_hw[1]) / 2), -whole((resized_hw[0] - input_hw[0]) / 2))
    return Placement(orig_hw, input_hw, resized_hw, (resized_hw[1] / width, resized_hw[0] / height), offset_xy)


def _scaled(side: int, factor: float, limit: int) -> int:
    return min(max(int(side * factor + 0.5), 1), limit)


def apply(image: NDArray[np.uint8], placement: Placement, spec: "ResizeSpec") -> NDArray[np.uint8]:
    """The input (H, W, 3) uint8 of a BGR picture (h, w, 3) uint8: itself where it has the size already."""
    import cv2

    resized_hw, (height, width) = placement.resized_hw, placement.input_hw
    resized: Any = image
    if resized_hw != placement.orig_hw and spec.interpolation in PILLOW:
        resized = _resize_as_pillow(image, placement, spec)
    elif resized_hw != placement.orig_hw:
        shrinks = resized_hw[0] * resized_hw[1] < placement.orig_hw[0] * placement.orig_hw[1]
        if spec.interpolation == "linear":
            kind = cv2.INTER_LINEAR
        else:
            # Classifiers are trained with Pillow's cubic, which averages when it shrinks. OpenCV's does not;
            # its area mode is nearer (480 to 256 pixels: 0.5 grey levels off on average, against 2.9).
            kind = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        resized = cv2.resize(image, (resized_hw[1], resized_hw[0]), interpolation=kind)
    if spec.mode != "letterbox" and resized.shape[:2] != placement.input_hw:
        left, top = -placement.offset_xy[0], -placement.offset_xy[1]
        resized = resized[top : top + height, left : left + width]
    elif resized.shape[:2] != placement.input_hw:
        below, right = height - resized_hw[0], width - resized_hw[1]
        resized = cv2.copyMakeBorder(resized, 0, below, 0, right, cv2.BORDER_CONSTANT, value=spec.fill_bgr)
    return np.ascontiguousarray(resized, np.uint8)


def _resize_as_pillow(image: NDArray[np.uint8], placement: Placement, spec: "ResizeSpec") -> NDArray[np.uint8]:
    """The resized picture, of a crop only the part that the input shows, which takes half to two thirds of the time.

    Pillow rounds the part's edges to float32: of smooth filters some values in a thousand move by one grey level, while
    the others would choose other pixels, so that theirs is cut out here.
    """
    from PIL import Image

    kind = Image.Resampling[spec.interpolation.upper()]
    height, width = placement.resized_hw
    if spec.mode == "letterbox" or spec.interpolation in ("nearest", "box"):
        return np.array(Image.fromarray(image).resize((width, height), kind))
    (left, top), (scale_x, scale_y) = placement.offset_xy, placement.scale_xy
    height, width = placement.input_hw
    box = (-left / scale_x, -top / scale_y, (width - left) / scale_x, (height - top) / scale_y)
    box = (*box[:2], min(box[2], placement.orig_hw[1]), min(box[3], placement.orig_hw[0]))
    return np.array(Image.fromarray(image).resize((width, height), kind, box=box))


def to_original(boxes_xyxy: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Boxes (n, 4) xyxy in pixels of the input as boxes in pixels of the picture, clipped to it."""
    scale = np.array(placement.scale_xy * 2, np.float32)
    offset = np.array(placement.offset_xy * 2, np.float32)
    height, width = placement.orig_hw
    limit = np.array((width, height, width, height), np.float32)
    return np.asarray(np.clip((boxes_xyxy - offset) / scale, 0, limit), np.float32)


def mask_to_original(mask: NDArray[Any], placement: Placement, outside: int) -> NDArray[Any]:
    """Class ids (H, W) in pixels of the input as ids (h, w) in pixels of the picture, of the same dtype.

    Each pixel takes the id that lies under its centre; one that a crop cut off is `outside`.
    """
    (height, width), (resized_height, resized_width) = placement.orig_hw, placement.resized_hw
    left, top = placement.offset_xy
    # of whole numbers, so that no centre falls to the wrong side of an edge by rounding
    rows = (2 * np.arange(height) + 1) * resized_height // (2 * height) + top
    columns = (2 * np.arange(width) + 1) * resized_width // (2 * width) + left
    seen_y = (rows >= 0) & (rows < placement.input_hw[0])
    seen_x = (columns >= 0) & (columns < placement.input_hw[1])
    found = mask.take(rows[seen_y], axis=0).take(columns[seen_x], axis=1)
    if seen_y.all() and seen_x.all():
        return found
    whole = np.full((height, width), outside, mask.dtype)
    whole[np.ix_(seen_y, seen_x)] = found
    return whole


def mask_as_resized(mask: NDArray[Any], placement: Placement) -> NDArray[Any]:
    """Class ids (h, w) of a picture as they are at the size that it is resized to: of each pixel the one under its
    centre."""
    (height, width), (rows, columns) = placement.orig_hw, placement.resized_hw
    at_y = (2 * np.arange(rows) + 1) * height // (2 * rows)
    at_x = (2 * np.arange(columns) + 1) * width // (2 * columns)
    return mask.take(at_y, axis=0).take(at_x, axis=1)


def _hint(image: NDArray[Any]) -> str:
    """What would make the array a picture, where that can be guessed."""
    if image.ndim == 3 and image.shape[0] in (1, 3, 4) and image.shape[-1] not in (1, 3, 4):
        return "; channels go last: image.transpose(1, 2, 0)"
    if image.dtype in (np.uint8, np.uint16):
        return ""  # its shape is what is wrong
    if image.dtype == bool:
        return "; of bools: image.astype(np.uint8) * 255"
    if np.issubdtype(image.dtype, np.floating) and image.size and 0 <= image.min() <= image.max() <= 1:
        return "; of floats in 0..1: (image * 255).round().astype(np.uint8)"
    return "; of values in 0..255: image.astype(np.uint8)" if image.ndim in (2, 3) else ""


def to_bgr(image: object, pixel_max: PixelMax = None) -> NDArray[np.uint8]:
    """The picture as (H, W, 3) uint8 BGR: itself when it is so already.

    Grey is repeated, alpha dropped, 16 bits scaled so that `pixel_max`, by default 65535, is 255. Anything else is a
    `DataError`.
    """
    import cv2

    if not isinstance(image, np.ndarray):
        raise DataError(f"not an image: {type(image).__name__}; {ACCEPTED}")
    if image.dtype.kind == "u":  # 16 bits of the other byte order, as TIFFs are read, are uint16 too
        image = image.astype(image.dtype.newbyteorder("="), copy=False)
    channels = 1 if image.ndim == 2 else image.shape[-1] if image.ndim == 3 else 0
    if image.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        raise DataError(f"cannot use an image of shape {image.shape} and dtype {image.dtype}; {ACCEPTED}{_hint(image)}")
    if image.size == 0:
        raise DataError(f"the image of shape {image.shape} has no pixels")
    image = to_8_bits(image, pixel_max)
    if channels == 3:
        return image
    code = cv2.COLOR_GRAY2BGR if channels == 1 else cv2.COLOR_BGRA2BGR
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), code), np.uint8)
