"""Large pictures in overlapping tiles, so that small objects keep their pixels, and the tiles' boxes as one answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.arguments import check_kind, check_number, check_size
from pvt_edge.errors import ArgumentError, RuntimeInputError
from pvt_edge.postprocessing import select
from pvt_edge.results.fields import Boxes

if TYPE_CHECKING:
    from pvt_edge.postprocessing import Thresholds
    from pvt_edge.tasks.task import Task

OVERLAP = 0.2  # of a tile, by default
LEAST_TILE, MOST_OVERLAP = 32, 0.9
MAX_DET = 1000  # of a whole picture in tiles, where nobody says how many
EDGE = 0.02  # of a tile's side: a box that ends so near an inner border is taken to be cut by it
SAME = 0.5  # overlap along the border of two parts of one object
INSIDE = 0.7  # of a part's area that lies in a whole box of its class, which it then is a part of

Window = tuple[int, int, int, int]  # xyxy in whole pixels of the picture


@dataclass(frozen=True)
class Slicing:
    """Tiles of `tile_hw` pixels that overlap by `overlap` of their sides or more; `whole_frame` is run too."""

    tile_hw: tuple[int, int]
    overlap: float = OVERLAP
    whole_frame: bool = False


def choose_slicing(
    task: "Task",
    *,
    slice: "int | tuple[int, int] | None" = None,
    overlap: float | None = None,
    whole_frame: bool = False,
) -> Slicing | None:
    """The slicing that was asked for; None for none.

    Raises `ArgumentError` for sizes and overlaps that cannot be, `RuntimeInputError` for a task without boxes.
    """
    if slice is None:
        if overlap is not None or whole_frame:
            raise ArgumentError("overlap and whole_frame are of slices: give slice too, such as slice=(480, 640)")
        return None
    if not task.slices:
        raise RuntimeInputError(f"slice is for detectors, this bundle's task is {task.name}: leave it out")
    tile_hw = check_size("predictor", slice, "slice")
    if min(tile_hw) < LEAST_TILE:
        raise ArgumentError(f"slice must be {LEAST_TILE} pixels or more a side, not {tile_hw[0]}x{tile_hw[1]}")
    check_number("slice", optional=True, overlap=overlap)
    check_kind("slice", "whole_frame", whole_frame, bool, "True or False")
    if overlap is not None and not 0 <= overlap <= MOST_OVERLAP:
        raise ArgumentError(f"overlap must be from 0 to {MOST_OVERLAP:g} of a tile, not {overlap:g}")
    return Slicing(tile_hw, OVERLAP if overlap is None else float(overlap), whole_frame)


def sliced_max_det(max_det: int) -> int:
    """The most boxes of a picture in tiles, where the bundle's `max_det` is that of one input and nobody says more."""
    return max(max_det, MAX_DET)


def windows_of(image_hw: tuple[int, int], slicing: Slicing) -> list[Window]:
    """The tiles of a picture row by row, all inside it and evenly spread, and last the whole frame where it is run.

    A picture no larger than a tile is one window; one that is so in one direction alone has one row or column.
    """
    height, width = image_hw
    (tops, tall), (lefts, wide) = (
        _starts(side, tile, slicing.overlap) for side, tile in zip(image_hw, slicing.tile_hw, strict=True)
    )
    windows = [(left, top, left + wide, top + tall) for top in tops for left in lefts]
    if slicing.whole_frame and len(windows) > 1:
        windows.append((0, 0, width, height))
    return windows


def _starts(side: int, tile: int, overlap: float) -> tuple[list[int], int]:
    """(where the tiles along one side begin, how long they are)."""
    if side <= tile:
        return [0], side
    count = ceil((side - tile * overlap) / (tile * (1 - overlap)) - 1e-9)
    return np.rint(np.linspace(0, side - tile, count)).astype(int).tolist(), tile


def merge(windows: Sequence[Window], found: Sequence[Boxes], thresholds: "Thresholds") -> Boxes:
    """One answer for the picture of the boxes found in each window, in the window's pixels.

    A box that ends at an inner border is cut. Where it lies in the overlap, the neighbour sees the whole object and
    decides, and the cut box goes. Larger than the overlap, it is joined with the neighbour's cut box beyond the border,
    to the box around both. What lies in a whole box of its class, one of the whole frame say, goes too. Of the whole
    frame only boxes larger than the overlap count: others some tile sees whole, and larger. Then comes class-aware NMS.
    """
    tiles = np.array(windows, np.int64)
    boxes = _placed(tiles, found)
    boxes = boxes.take(~(_seen_by_neighbour(boxes, tiles) | _seen_by_tiles(boxes, tiles)))
    boxes = _without_parts(_joined(boxes))
    kept = select(
        boxes.xyxy,
        boxes.conf,
        boxes.cls,
        conf=thresholds.conf,
        iou=thresholds.iou,
        max_det=thresholds.max_det,
        classes=thresholds.classes,
    )
    return Boxes(*kept)


@dataclass(frozen=True, eq=False)
class _Placed:
    """n boxes in pixels of the picture, the number (n,) of each one's window, that window (n, 4), and at which of their
    sides x0, y0, x1, y1 an inner border cuts them (n, 4)."""

    xyxy: NDArray[np.float32]
    conf: NDArray[np.float32]
    cls: NDArray[np.int64]
    number: NDArray[np.int64]
    window: NDArray[np.int64]
    cut: NDArray[np.bool_]

    def take(self, rows: NDArray[Any]) -> "_Placed":
        return _Placed(*(values[rows] for values in vars(self).values()))


def _placed(tiles: NDArray[np.int64], found: Sequence[Boxes]) -> _Placed:
    number = np.repeat(np.arange(len(found)), [len(boxes) for boxes in found])
    xyxy, conf, classes = (
        np.concatenate([getattr(boxes, name) for boxes in found]) for name in ("xyxy", "conf", "cls")
    )
    window = tiles[number]
    xyxy = xyxy + window[:, [0, 1, 0, 1]].astype(np.float32)
    picture = np.concatenate((tiles[:, :2].min(axis=0), tiles[:, 2:].max(axis=0)))
    cut = (np.abs(xyxy - window) <= EDGE * _sides(window)) & (window != picture)
    return _Placed(xyxy, conf, classes, number, window, cut)


def _sides(window: NDArray[np.int64]) -> NDArray[np.int64]:
    """Width, height, width, height (n, 4) of windows."""
    return np.asarray((window[:, 2:] - window[:, :2])[:, [0, 1, 0, 1]])


def _reach(window: NDArray[np.int64], tiles: NDArray[np.int64]) -> list[int]:
    """How far the neighbour beyond each side x0, y0, x1, y1 of a window reaches into it; its own side without one."""
    (x0, y0, x1, y1), (lefts, tops, rights, bottoms) = window, tiles.T
    row, column = (tops == y0) & (bottoms == y1), (lefts == x0) & (rights == x1)
    return [
        int(rights[row & (lefts < x0) & (rights < x1)].max(initial=x0)),
        int(bottoms[column & (tops < y0) & (bottoms < y1)].max(initial=y0)),
        int(lefts[row & (lefts > x0) & (rights > x1)].min(initial=x1)),
        int(tops[column & (tops > y0) & (bottoms > y1)].min(initial=y1)),
    ]


def _seen_by_neighbour(found: _Placed, tiles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which boxes are cut and lie in the overlap with the neighbour beyond the border that cuts them."""
    reach = np.array([_reach(window, tiles) for window in tiles])[found.number]
    opposite, margin = found.xyxy[:, [2, 3, 0, 1]], EDGE * _sides(found.window)  # clear of the neighbour's own border
    below, above = opposite <= reach - margin, opposite >= reach + margin
    inside = np.concatenate((below[:, :2], above[:, 2:]), axis=1)
    return np.asarray((found.cut & inside).any(axis=1))


def _seen_by_tiles(found: _Placed, tiles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which boxes of the whole frame are no larger than the overlap of the tiles."""
    picture = np.concatenate((tiles[:, :2].min(axis=0), tiles[:, 2:].max(axis=0)))
    whole = (tiles == picture).all(axis=1)
    fits = whole[found.number]
    for axis in (0, 1):
        starts, ends = (np.unique(tiles[~whole, side]) for side in (axis, axis + 2))
        if len(starts) > 1:  # else no border cuts this way
            fits &= found.xyxy[:, axis + 2] - found.xyxy[:, axis] <= (ends[:-1] - starts[1:]).min()
    return fits


def _joined(found: _Placed) -> _Placed:
    """The boxes with those that are parts of one object, across inner borders, replaced by the box around them."""
    group = np.arange(len(found.xyxy))
    for one, other in _pairs(found):
        group[group == group[other]] = group[one]
    firsts, place, counts = np.unique(group, return_inverse=True, return_counts=True)
    xyxy, conf, cut = found.xyxy.copy(), found.conf.copy(), found.cut.copy()
    for number in np.flatnonzero(counts > 1):
        members, first = place == number, firsts[number]
        around = np.concatenate((found.xyxy[members, :2].min(axis=0), found.xyxy[members, 2:].max(axis=0)))
        xyxy[first], conf[first] = around, found.conf[members].max()
        cut[first] = (found.cut[members] & (found.xyxy[members] == around)).any(axis=0)
    return replace(found, xyxy=xyxy, conf=conf, cut=cut).take(firsts)


def _pairs(found: _Placed) -> list[tuple[int, int]]:
    """(a box, its continuation beyond the border on its right or below), those that agree best first, one to one."""
    matches = []
    for axis in (0, 1):
        low, high, across = axis, axis + 2, 1 - axis
        ends, begins = (np.flatnonzero(found.cut[:, side]) for side in (high, low))
        a, b = found.take(ends), found.take(begins)
        near = a.cls[:, None] == b.cls
        near &= a.window[:, None, across] == b.window[:, across]  # of the same row, or column, of tiles
        near &= (b.window[:, low] > a.window[:, None, low]) & (b.window[:, low] <= a.window[:, None, high])
        shared = np.minimum(a.xyxy[:, None, across + 2], b.xyxy[:, across + 2])
        shared = shared - np.maximum(a.xyxy[:, None, across], b.xyxy[:, across])
        together = np.maximum(a.xyxy[:, None, across + 2], b.xyxy[:, across + 2])
        together = together - np.minimum(a.xyxy[:, None, across], b.xyxy[:, across])
        alike = shared / np.maximum(together, 1e-6)
        rows, columns = np.nonzero(near & (alike >= SAME))
        found_here = zip(alike[rows, columns].tolist(), ends[rows].tolist(), begins[columns].tolist(), strict=True)
        matches += [(share, axis, i, j) for share, i, j in found_here]
    taken: set[tuple[int, str, int]] = set()
    pairs = []
    for _, axis, i, j in sorted(matches, key=lambda match: -match[0]):
        if not {(axis, "first", i), (axis, "second", j)} & taken:
            taken |= {(axis, "first", i), (axis, "second", j)}
            pairs.append((i, j))
    return pairs


def _without_parts(found: _Placed) -> _Placed:
    """The boxes without those that are cut and lie in another of their class that is not cut."""
    cut: NDArray[np.bool_] = np.asarray(found.cut.any(axis=1))
    part, whole = found.take(cut), found.take(~cut)
    low = np.maximum(part.xyxy[:, None, :2], whole.xyxy[None, :, :2])  # (parts, wholes, 2)
    sides = np.maximum(np.minimum(part.xyxy[:, None, 2:], whole.xyxy[None, :, 2:]) - low, 0)
    areas = (part.xyxy[:, 2:] - part.xyxy[:, :2]).prod(axis=1)
    inside = (sides[..., 0] * sides[..., 1] >= INSIDE * areas[:, None]) & (part.cls[:, None] == whole.cls[None])
    dropped = np.flatnonzero(cut)[inside.any(axis=1)]
    return found.take(np.setdiff1d(np.arange(len(cut)), dropped))
