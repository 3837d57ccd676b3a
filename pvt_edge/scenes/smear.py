"""The smear on the glass: all cells painted into one map of optical density, and where each can be seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvt_edge.scenes.cells import paint_platelet, paint_red_cell, paint_white_cell
from pvt_edge.scenes.layout import PLATELET, RED, Cell
from pvt_edge.scenes.shapes import Layer, Stain, overlap

MIN_VISIBLE = 0.15  # a cell of which less is seen carries no box
MIN_SIDE = 8.0  # pixels, the same


@dataclass(frozen=True)
class Footprint:
    """The pixels `seen` (h, w) of one cell from (top, left) on, and its whole area in pixels."""

    label: int
    top: int
    left: int
    seen: NDArray[np.bool_]
    area: int


@dataclass(frozen=True)
class Smear:
    """What is painted on the glass.

    `density` (H, W, 3): optical density BGR. `classes` (H, W): 0 the glass, else the label + 1 of the uppermost cell,
    however translucent it is. A cell reaches as far as its box says: a red or white one to where it is half as dense as
    inside, a platelet to where it can be told from the glass.
    """

    density: NDArray[np.float32]
    classes: NDArray[np.uint8]
    footprints: tuple[Footprint, ...]


def paint_smear(cells: list[Cell], stain: Stain, height: int, width: int, scale: float) -> Smear:
    """The cells painted in order; each is drawn from its own seed, so leaving one out changes no other."""
    density = np.zeros((height, width, 3), np.float32)
    classes = np.zeros((height, width), np.uint8)
    hidden = np.zeros((height, width), bool)  # under white cells
    painted: list[tuple[Cell, Layer]] = []
    for cell in cells:
        if cell.diameter < MIN_SIDE:
            continue
        layer = _PAINTERS[cell.label](cell, stain, scale)
        rows, columns, own_rows, own_columns = overlap(layer.top, layer.left, layer.cover.shape, hidden.shape)
        below, above = density[rows, columns], layer.density[own_rows, own_columns]
        if cell.label == RED:
            shared = np.maximum(np.minimum(below, above), 0.0)  # bright fringes, negative, share nothing
            density[rows, columns] = below + above - np.float32(1.0 - stain.stacked) * shared
        else:
            density[rows, columns] = below * (1.0 - layer.cover[own_rows, own_columns, None]) + above
        classes[rows, columns][layer.inside[own_rows, own_columns]] = cell.label + 1
        if cell.label not in (RED, PLATELET):
            hidden[rows, columns] |= layer.inside[own_rows, own_columns]
        painted.append((cell, layer))
    return Smear(density, classes, tuple(_footprint(cell, layer, hidden) for cell, layer in painted))


def visible_boxes(
    footprints: tuple[Footprint, ...], x: float, y: float, height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Tight boxes xyxy (n, 4) and labels (n,) of the cells seen in a window with its corner at (x, y)."""
    boxes: list[tuple[float, float, float, float]] = []
    labels: list[int] = []
    x0, y0 = round(x), round(y)
    for print_ in footprints:
        _, _, rows, columns = overlap(print_.top - y0, print_.left - x0, print_.seen.shape, (height, width))
        seen = print_.seen[rows, columns]
        if np.count_nonzero(seen) < MIN_VISIBLE * print_.area:
            continue
        across, down = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
        left, top = print_.left + columns.start - x, print_.top + rows.start - y
        box = np.array((left + across[0], top + down[0], left + across[-1] + 1, top + down[-1] + 1))
        box = np.clip(box, 0, (width, height, width, height))
        if min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE:
            boxes.append(tuple(box))
            labels.append(print_.label)
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64)


def _footprint(cell: Cell, layer: Layer, hidden: NDArray[np.bool_]) -> Footprint:
    seen = layer.inside
    if cell.label == RED:
        rows, columns, own_rows, own_columns = overlap(layer.top, layer.left, seen.shape, hidden.shape)
        seen = seen.copy()
        seen[own_rows, own_columns] &= ~hidden[rows, columns]
    return Footprint(cell.label, layer.top, layer.left, seen, int(np.count_nonzero(layer.inside)))


_PAINTERS = (paint_red_cell, paint_white_cell, paint_platelet)
