"""Index masks: pictures whose pixels are the numbers of classes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.class_map import VOID
from pvt_edge.data.picture_paths import displayed_size
from pvt_edge.errors import DataError
from pvt_edge.sources.picture_kind import read_jpeg_header

if TYPE_CHECKING:
    from PIL.Image import Image

    from pvt_edge.data.labelled_set import MaskSample

LARGEST = 65535  # value in a mask of 16 bits
ONE_CHANNEL = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
SPREAD = {"L;2": 85, "L;4": 17}  # by which Pillow multiplies grey values of fewer bits, to make white of the largest
SHOWN = 3  # names that a message lists
COLOURS_SHOWN = 4
THREADS = 4


def read_index_mask(path: Path) -> NDArray[np.uint16]:
    """The values (H, W) of a mask: of a picture with a palette its indices, never its colours.

    Raises `DataError` for what cannot be read, for a JPEG, whose values are not those that were saved, and for colours.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.format in ("JPEG", "MPO"):
                raise DataError(f"{path} is a JPEG, which changes the numbers of classes: save masks as PNG")
            if picture.mode == "F":
                raise DataError(
                    f"{path} has fractions (mode F) where the numbers of classes are expected: save whole numbers, "
                    "mask.astype(np.uint8), as PNG"
                )
            if picture.mode not in ONE_CHANNEL:
                raise DataError(f"{path} {_colours(picture)}")
            spread = SPREAD.get(_raw_mode(picture), 1)
            values = np.array(picture) // spread
    except UnidentifiedImageError as error:
        raise DataError(f"cannot read the mask {path}: it is no picture; save it again, or take it out") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the mask {path}: {error}; save it again, or take it out") from error
    if values.min(initial=0) < 0 or values.max(initial=0) > LARGEST:
        raise DataError(f"{path} has values from {values.min()} to {values.max()}, which are no numbers of classes")
    return np.asarray(values, np.uint16)


def to_class_ids(values: NDArray[np.uint16], sample: "MaskSample") -> NDArray[np.uint8]:
    """The ids (H, W) of a mask's values, 255 where there is no label: for 255, and for 0 if the sample says so.

    Raises `DataError` for values of no class.
    """
    table = _table(sample)
    ids = table[values]
    if (ids < 0).any():
        wrong = np.unique(values[ids < 0]).tolist()
        raise DataError(f"{sample.mask_path} has the value{'s' * (len(wrong) > 1)} {_some(wrong)}, of no class")
    return ids.astype(np.uint8)


def check_masks(samples: "Sequence[MaskSample]", names: Sequence[str]) -> "list[MaskSample]":
    """The samples, each with the classes that are in its mask. `DataError` names the masks that cannot be used, and
    what is wrong with the first: broken ones, those of another size than their picture, and those with values beyond
    the classes `names`."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(_see, samples))
    faulty = [(sample.mask_path.name, one) for sample, one in zip(samples, found, strict=True) if isinstance(one, str)]
    if faulty:
        (_, message), *others = faulty
        if ", of no class" in message:
            message += f"; {_expected(samples[0], names)}"
        if others:
            named = ", ".join(name for name, _ in others[:SHOWN]) + (" ..." if len(others) > SHOWN else "")
            message += f" ({len(others)} more of {len(samples)} masks cannot be used: {named})"
        raise DataError(message)
    seen = [one for one in found if not isinstance(one, str)]
    _refuse_black_and_white(samples, [values for values, _ in seen])
    return [replace(sample, labels=labels) for sample, (_, labels) in zip(samples, seen, strict=True)]


def _see(sample: "MaskSample") -> tuple[set[int], tuple[int, ...]] | str:
    """(the mask's values, its classes), or what is wrong with it."""
    try:
        values = read_index_mask(sample.mask_path)
        counts = np.bincount(to_class_ids(values, sample).ravel(), minlength=VOID + 1)
    except DataError as error:
        return str(error)
    size_wh, size = (values.shape[1], values.shape[0]), displayed_size(sample.path)
    if size is not None and size != size_wh:
        message = (
            f"{sample.mask_path} has {size_wh[0]}x{size_wh[1]} pixels, its picture {sample.path} {size[0]}x{size[1]}"
        )
        header = read_jpeg_header(sample.path)
        if header is not None and header.swaps_sides and header.stored_wh == size_wh:
            return f"{message}, as its EXIF turns it: save the picture without EXIF orientation, or turn the mask too"
        return f"{message}: bring the mask to the picture's size with cv2.resize(..., interpolation=cv2.INTER_NEAREST)"
    return set(np.unique(values).tolist()), tuple(np.flatnonzero(counts[:VOID]).tolist())


def _refuse_black_and_white(samples: "Sequence[MaskSample]", values: Sequence[set[int]]) -> None:
    """Masks of 0 and 255 alone mean black and white, of which 255 would be passed over as no label."""
    if samples and set().union(*values) == {0, VOID}:
        raise DataError(
            f"{samples[0].mask_path} and all other masks have the values 0 and 255 alone, and 255 means that there is "
            "no label: save the classes as 0 and 1, such as cv2.imwrite(path, mask // 255)"
        )


def _table(sample: "MaskSample") -> NDArray[np.int16]:
    """Value -> class id, 255 for no label and -1 for what means nothing."""
    table = np.full(LARGEST + 1, -1, np.int16)
    first = int(sample.reduce_zero_label)
    values = range(first, VOID) if sample.values is None else sample.values
    table[VOID] = VOID
    if sample.reduce_zero_label:
        table[0] = VOID
    table[list(values)] = np.arange(len(values))
    return table


def _expected(sample: "MaskSample", names: Sequence[str]) -> str:
    values = sample.values or tuple(range(len(names)))
    called = ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
    message = f"the {len(names)} classes ({called}) are the values {values[0]} to {values[-1]}, and 255 is no label"
    if sample.reduce_zero_label or values != tuple(range(len(names))):
        return message
    return (
        f"{message}; where 0 is no label and classes begin at 1, say so with --reduce-zero-label, or with "
        "reduce_zero_label in classes.json"
    )


def _colours(picture: "Image") -> str:
    """What is wrong with a mask of several channels, and how to make it one of indices."""
    pixels: NDArray[Any] = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    if (pixels == pixels[:, :1]).all():
        return (
            f"has the channels {picture.mode}, all of one value, where the numbers of classes are expected: keep one, "
            "Image.open(path).convert('RGB').getchannel(0).save(path)"
        )
    colours = np.unique(pixels, axis=0)
    shown = ", ".join(str(tuple(colour)) for colour in colours[:COLOURS_SHOWN].tolist())
    more = " ..." if len(colours) > COLOURS_SHOWN else ""
    return (
        f"has colours ({picture.mode}, {len(colours)} of them: {shown}{more}) where the numbers of classes are "
        "expected: make each colour its class's number in one channel and save that as PNG; docs/segment.md shows how"
    )


def _raw_mode(picture: "Image") -> str:
    """How the file stores its pixels, such as "L;4"."""
    tiles: Any = getattr(picture, "tile", ())
    arguments = tiles[0][3] if tiles else ""
    return str(arguments if isinstance(arguments, str) else (arguments or [""])[0])


def _some(values: list[int]) -> str:
    return ", ".join(map(str, values[:COLOURS_SHOWN])) + (" ..." if len(values) > COLOURS_SHOWN else "")
