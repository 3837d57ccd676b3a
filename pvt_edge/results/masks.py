"""What a mask says, class by class: pixels, regions, COCO's run lengths, a file of indices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pvt_edge.class_map import void_of
from pvt_edge.errors import DataError, RuntimeInputError, described

Names = Sequence[str] | Mapping[int, str]
# as cocoapi's maskApi.c packs run lengths: five bits a character, the sixth for "more follows"
BITS, MORE, SIGN, FIRST_CHARACTER = 5, 0x20, 0x10, 48
EXACT_FLOAT = 1 << 24  # pixels that OpenCV counts, in float32


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """The lengths of a mask (H, W), that of 0 first, which may be 0."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return [0, *lengths] if flat.size and flat[0] else lengths


def draw_runs(lengths: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """The mask (H, W) of run lengths. Raises `ValueError` unless they are as long as it."""
    if any(length < 0 for length in lengths) or sum(lengths) != height * width:
        raise ValueError(f"run lengths of {sum(lengths)} pixels, its picture has {height * width}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, lengths).reshape(width, height).T)


def packed(lengths: Sequence[int]) -> str:
    """Run lengths as the text that pycocotools writes and reads: from the fourth on what each is more than the one
    before the last."""
    values = np.array(lengths, np.int64)
    values[3:] -= np.array(lengths, np.int64)[1:-2]
    columns, wanted = [], np.ones(len(values), bool)
    while wanted.any():
        low = values & (MORE - 1)
        values >>= BITS
        more = values != np.where(low & SIGN, -1, 0)
        columns.append(np.where(wanted, np.where(more, low | MORE, low) + FIRST_CHARACTER, 0))
        wanted &= more
    characters = np.array(columns, np.uint8).T.ravel()
    return characters[characters > 0].tobytes().decode()


def unpacked(text: str) -> list[int]:
    """The run lengths of such a text. Raises `ValueError` for one that ends within a number."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        low = ord(character) - FIRST_CHARACTER
        value |= (low & (MORE - 1)) << shift
        shift += BITS
        if low & MORE:
            continue
        if low & SIGN:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("run lengths that are cut short")
    return lengths


@dataclass(frozen=True)
class MaskStyle:
    """How a mask is shown: drawn over its picture with `opacity` 0..1, in JSON as `polygons` or as run lengths.

    `RuntimeInputError` for another opacity.
    """

    opacity: float = 0.5
    polygons: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.opacity, (int, float)) or not 0 <= self.opacity <= 1:
            raise RuntimeInputError(f"opacity must be a number from 0 to 1, got {described(self.opacity)}")


def check_mask(mask: object, image_hw: tuple[int, int]) -> None:
    """`DataError` for what is no class map (H, W) of the picture's size."""
    if not isinstance(mask, np.ndarray) or not np.issubdtype(mask.dtype, np.integer):
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise DataError(f"a mask is an array (H, W) of class ids, whole numbers, not of {kind}")
    if mask.shape != image_hw:
        raise DataError(f"the mask is {mask.shape}, the image {image_hw}")


def within(mask: NDArray[Any], classes: int) -> bool:
    """Whether all ids of the mask are those of so many classes that are numbered from 0."""
    return mask.size > 0 and int(mask.min()) >= 0 and int(mask.max()) < classes


def count_pixels(mask: NDArray[Any]) -> dict[int, int]:
    """Pixels by class id, most first; those without a class do not count."""
    import cv2

    if mask.dtype == np.uint8 and 0 < mask.size < EXACT_FLOAT:
        counts = cv2.calcHist([np.ascontiguousarray(mask)], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    else:
        counts = np.bincount(mask[mask >= 0].ravel(), minlength=1)
    found = {i: int(counts[i]) for i in np.flatnonzero(counts).tolist() if i != void_of(mask.dtype)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def mask_rows(
    mask: NDArray[Any],
    pixels: Mapping[int, int],
    names: Names,
    regions: Literal["run lengths", "polygons"] | None = None,
) -> list[dict[str, Any]]:
    """{"name", "class", "area", "pixels"} of each class that has `pixels`, "area" as a share of the mask; with
    `regions` also COCO's "segmentation": run lengths {"size", "counts"}, or polygons [[x, y, ...], ...]."""
    rows = []
    for class_id, count in pixels.items():
        row = {"name": names[class_id], "class": class_id, "area": round(count / mask.size, 6), "pixels": count}
        if regions == "polygons":
            row["segmentation"] = polygons(mask == class_id)
        elif regions is not None:
            counts = packed(run_lengths(mask == class_id))
            row["segmentation"] = {"size": list(mask.shape), "counts": counts}
        rows.append(row)
    return rows


def polygons(region: NDArray[np.bool_]) -> list[list[int]]:
    """The outlines [[x, y, x, y, ...], ...] of a region (H, W), through the centres of its outermost pixels.

    Holes are not cut out, and what is a pixel or a line of them has no outline: run lengths say all of it.
    """
    import cv2

    outlines, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found: list[list[int]] = [outline.ravel().tolist() for outline in outlines if len(outline) >= 3]
    return found


def save_index_png(path: Path, mask: NDArray[Any]) -> Path:
    """The path, after writing the ids as a PNG with the palette of the overlay, or of 16 bits where 8 are too few."""
    from pvt_edge.drawing.masks import palette_rgb
    from pvt_edge.pictures.files import write_index_png

    if path.suffix.lower() != ".png":
        raise DataError(f"cannot write {path}: a mask is a PNG, so that its ids stay what they are; end it in .png")
    if mask.dtype == np.uint8:
        return write_index_png(path, mask, palette_rgb())
    largest = np.iinfo(np.uint16).max
    return write_index_png(path, np.where(mask < 0, largest, mask).astype(np.uint16), None)
