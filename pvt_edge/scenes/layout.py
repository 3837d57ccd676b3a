"""Where the cells of a smear lie."""

from dataclasses import dataclass

import numpy as np

from pvt_edge.scenes.shapes import Stain

RED, WHITE, PLATELET = 0, 1, 2
RED_DIAMETER, PLATELET_DIAMETER = 102.0, 40.0  # pixels in a picture 480 high
WHITE_DIAMETER = {
    "neutrophil": (175.0, 235.0),
    "eosinophil": (195.0, 245.0),
    "lymphocyte": (102.0, 165.0),
    "monocyte": (185.0, 245.0),
    "compact": (108.0, 140.0),
}
WHITE_SHARE = (0.42, 0.20, 0.18, 0.10, 0.10)
TRIES = 30


@dataclass(frozen=True)
class Cell:
    """A cell before it is painted: label, centre and diameter in pixels, and the seed of its details."""

    label: int
    kind: str
    x: float
    y: float
    diameter: float
    seed: int


def lay_out(rng: np.random.Generator, height: int, width: int, scale: float, stain: Stain) -> list[Cell]:
    """Red cells, then white cells, then platelets: the order in which they are painted."""
    fields = height * width / (480 * 640 * scale * scale)  # 1 for a picture of the usual proportions
    white = _white_cells(rng, height, width, scale * stain.size, fields)
    red = _red_cells(rng, height, width, scale * stain.size, stain.clumping, white)
    grains = [
        Cell(
            PLATELET,
            "platelet",
            rng.uniform(0, width),
            rng.uniform(0, height),
            float(PLATELET_DIAMETER * scale * np.exp(rng.normal(0.0, 0.17))),
            _seed(rng),
        )
        for _ in range(rng.poisson(1.1 * fields))
    ]
    free = [g for g in grains if all(_apart(g, w.x, w.y) > 0.5 * w.diameter for w in white)]
    return red + white + free


def _white_cells(rng: np.random.Generator, height: int, width: int, scale: float, fields: float) -> list[Cell]:
    cells: list[Cell] = []
    for _ in range(int(fields * rng.uniform(0.7, 1.35) + rng.random())):
        kind = str(rng.choice(list(WHITE_DIAMETER), p=WHITE_SHARE))
        diameter = rng.uniform(*WHITE_DIAMETER[kind]) * scale
        for _ in range(TRIES):
            # most pictures are taken with the white cell well inside
            edge = (0.5 if rng.random() < 0.65 else -0.2) * min(diameter, height, width)
            x, y = rng.uniform(edge, width - edge), rng.uniform(edge, height - edge)
            if all(_apart(other, x, y) > 0.52 * (diameter + other.diameter) for other in cells):
                cells.append(Cell(WHITE, kind, x, y, float(diameter), _seed(rng)))
                break
    return cells


def _red_cells(
    rng: np.random.Generator, height: int, width: int, scale: float, clumping: float, white: list[Cell]
) -> list[Cell]:
    usual = RED_DIAMETER * scale
    margin = 0.42 * usual  # cells that the border cuts
    area = (height + 2 * margin) * (width + 2 * margin)
    cells: list[Cell] = []
    for _ in range(int(rng.uniform(0.38, 0.80) * area / (usual * usual))):
        diameter = float(usual * np.exp(rng.normal(0.0, 0.09)))
        for _ in range(TRIES):
            if cells and rng.random() < clumping:
                x, y = _beside(rng, cells, usual)
                nearest = 0.42
            else:
                x, y = rng.uniform(-margin, width + margin), rng.uniform(-margin, height + margin)
                nearest = 0.92
            inside = -margin < x < width + margin and -margin < y < height + margin
            if (
                inside
                and all(_apart(c, x, y) > nearest * usual for c in cells)
                and sum(_apart(c, x, y) < 0.75 * usual for c in cells) <= 2
                and all(_apart(w, x, y) > 0.5 * w.diameter + rng.uniform(0.25, 0.5) * usual for w in white)
            ):
                cells.append(Cell(RED, "red", float(x), float(y), diameter, _seed(rng)))
                break
    return cells


def _beside(rng: np.random.Generator, cells: list[Cell], usual: float) -> tuple[float, float]:
    """A place on or next to a cell, mostly a recent one and straight on, so that stacks (rouleaux) grow."""
    recent = len(cells) - 1 - int(len(cells) * rng.random() ** 2)
    host = cells[max(recent, 0)]
    before = cells[max(recent - 1, 0)]
    angle = rng.uniform(0, 2 * np.pi)
    if 0 < _apart(before, host.x, host.y) < usual:
        angle = np.arctan2(host.y - before.y, host.x - before.x) + rng.normal(0.0, 0.5)
    far = usual * rng.uniform(0.45, 1.05)
    return host.x + far * np.cos(angle), host.y + far * np.sin(angle)


def _apart(cell: Cell, x: float, y: float) -> float:
    return float(np.hypot(cell.x - x, cell.y - y))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**62))
