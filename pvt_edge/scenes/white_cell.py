"""White cells: a lobed purple nucleus in granular cytoplasm."""

from dataclasses import dataclass

import numpy as np

from pvt_edge.scenes.layer import Layer
from pvt_edge.scenes.layout import Cell
from pvt_edge.scenes.outline import Outline, round_outline
from pvt_edge.scenes.stain import Spectrum, Stain
from pvt_edge.scenes.texture import Plane, blotches, smooth_step

EOSIN = np.array((0.11, 0.31, 0.09), np.float32)  # pink granules of eosinophils, BGR density
BASIC = np.array((0.00, 0.15, 0.17), np.float32)  # bluish cytoplasm of lymphocytes and monocytes


@dataclass(frozen=True)
class Habit:
    """How a kind of white cell looks. Lengths in cell radii."""

    lobes: tuple[int, int]
    lobe: tuple[float, float]  # radius of a lobe
    ring: tuple[float, float]  # distance of the lobes from the cell's centre
    arc: float  # angle the lobes spread over
    granules: float
    tint: Spectrum | None  # cytoplasm's own colour, None: the stain's
    dark: float  # nucleus density over the stain's


HABITS = {
    "neutrophil": Habit((3, 6), (0.27, 0.40), (0.36, 0.52), 5.2, 0.12, None, 1.0),
    "eosinophil": Habit((2, 3), (0.36, 0.46), (0.44, 0.56), 3.4, 0.30, EOSIN, 0.95),
    "lymphocyte": Habit((1, 1), (0.80, 0.97), (0.00, 0.10), 0.0, 0.10, BASIC, 1.15),
    "monocyte": Habit((3, 4), (0.42, 0.54), (0.28, 0.40), 2.6, 0.15, BASIC, 0.85),
    "compact": Habit((3, 4), (0.42, 0.52), (0.40, 0.50), 6.0, 0.25, None, 1.25),
}
KINDS = tuple(HABITS)


def paint_white_cell(cell: Cell, stain: Stain, scale: float) -> Layer:
    """The layer of one white cell of the kind `cell.kind`."""
    rng = np.random.default_rng(cell.seed)
    habit = HABITS[cell.kind]
    ragged = float(rng.choice([1.0, 1.8], p=[0.85, 0.15]))
    outline = round_outline(
        rng,
        cell.x,
        cell.y,
        diameter=cell.diameter,
        aspect=float(np.exp(abs(rng.normal(0.0, 0.08)))),
        wobble=0.025 * ragged,
    )
    soft = 4.5 * scale / outline.radius
    ripple = 0.02 * ragged * blotches(rng, outline.rho.shape, outline.radius / 5)
    body = smooth_step(outline.rho + ripple, 1.0 + soft, 1.0 - soft)
    nucleus = _nucleus(rng, outline, habit, scale) * body
    tint = stain.cytoplasm if habit.tint is None else 0.35 * stain.cytoplasm + habit.tint
    grain = 1.0 + habit.granules * blotches(rng, outline.rho.shape, rng.uniform(3.0, 5.0) * scale)
    grain += 0.12 * blotches(rng, outline.rho.shape, outline.radius / 3)
    cytoplasm = np.clip(grain, 0.1, 2.2) * body * np.float32(rng.uniform(0.75, 1.15))
    chromatin = 1.0 + 0.10 * blotches(rng, outline.rho.shape, rng.uniform(8, 16) * scale)
    chromatin += 0.05 * blotches(rng, outline.rho.shape, 4.0 * scale)
    depth = nucleus * chromatin * np.float32(habit.dark * rng.uniform(0.92, 1.08))
    density = (cytoplasm * (1.0 - 0.8 * nucleus))[..., None] * tint + depth[..., None] * stain.nucleus
    inside = body >= 0.5
    return Layer(outline.top, outline.left, np.asarray(density, np.float32), body, inside)


def _nucleus(rng: np.random.Generator, outline: Outline, habit: Habit, scale: float) -> Plane:
    """How far a pixel lies in the nucleus, (h, w) in 0..1: lobes on an arc, melted together, rough-edged."""
    h, w = outline.rho.shape
    x = (np.arange(w, dtype=np.float32)[None] - np.float32(w / 2)) / np.float32(outline.radius)  # (1, w)
    y = (np.arange(h, dtype=np.float32)[:, None] - np.float32(h / 2)) / np.float32(outline.radius)
    count = int(rng.integers(habit.lobes[0], habit.lobes[1] + 1))
    start, step = rng.uniform(0, 2 * np.pi), habit.arc / max(count, 1)
    field = np.zeros((h, w), np.float32)
    for i in range(count):
        angle = start + step * (i + rng.uniform(-0.15, 0.15))
        far, size = rng.uniform(*habit.ring), rng.uniform(*habit.lobe)
        stretch, lean = rng.uniform(1.0, 1.35), rng.uniform(0, np.pi)
        dx, dy = x - np.float32(far * np.cos(angle)), y - np.float32(far * np.sin(angle))
        c, s = np.float32(np.cos(lean)), np.float32(np.sin(lean))
        u, v = (dx * c + dy * s) / np.float32(stretch), (dy * c - dx * s) * np.float32(stretch)
        # 1 on the lobe's edge; the fast fall keeps neighbours apart but for a bridge
        field += np.exp(np.float32(3.0) * (1.0 - (u * u + v * v) / np.float32(size * size)))
    field = np.log(field + np.float32(1e-6)) / np.float32(3.0)
    field += 0.16 * blotches(rng, (h, w), outline.radius / 4)
    soft = 4.0 * scale / (outline.radius * 0.4)
    return smooth_step(field, -soft, soft)
