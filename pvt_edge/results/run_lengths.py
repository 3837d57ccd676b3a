"""COCO's run lengths: a mask as the lengths of its runs of 0 and 1 in turn, down the columns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# as cocoapi's maskApi.c packs them: five bits a character, the sixth for "more follows"
BITS, MORE, SIGN, FIRST_CHARACTER = 5, 0x20, 0x10, 48


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
