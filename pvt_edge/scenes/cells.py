"""The cells, painted: red ones, translucent and thinner in the middle; white ones with a lobed nucleus; platelets."""

from dataclasses import dataclass

import numpy as np

from pvt_edge.scenes.layout import Cell
from pvt_edge.scenes.shapes import Layer, Outline, Plane, Spectrum, Stain, bell, blotches, round_outline, smooth_step

STEPS, FAR = 256, 1.4  # table over rho, whose last entry is empty
HALO = np.array((0.6, 1.0, 1.0), np.float32)  # the bright fringe is yellowish
GLINT = np.array((0.8, 0.9, 1.0), np.float32)  # a refractile speck lets yellowish light through
EOSIN = np.array((0.11, 0.31, 0.09), np.float32)  # pink granules of eosinophils, BGR density
BASIC = np.array((0.00, 0.15, 0.17), np.float32)  # bluish cytoplasm of lymphocytes and monocytes


def paint_platelet(cell: Cell, stain: Stain, scale: float) -> Layer:
    """The layer of one platelet: a granular core that fades into a bluish seam."""
    rng = np.random.default_rng(cell.seed)
    outline = round_outline(
        rng,
        cell.x,
        cell.y,
        diameter=cell.diameter,
        aspect=float(np.exp(abs(rng.normal(0.0, 0.18)))),
        wobble=0.10,
        waves=7,
    )
    hw = outline.rho.shape
    rough = outline.rho + 0.10 * blotches(rng, hw, 4.0 * scale)
    seam = smooth_step(rough, 1.12, 0.80)
    core = smooth_step(rough, 0.95, rng.uniform(0.2, 0.5))
    grain = np.clip(1.0 + 0.25 * blotches(rng, hw, 3.0 * scale), 0.3, 1.8)
    strength = np.float32(np.exp(rng.normal(0.0, 0.3)))
    blue = np.array((-0.01, 0.08, 0.09), np.float32)
    density = (core * grain * strength)[..., None] * stain.platelet + (seam * strength)[..., None] * blue
    dark = density[..., 1]
    inside = dark > 0.22 * np.percentile(dark, 98)  # it has no edge: what can be told from the glass belongs to it
    return Layer(outline.top, outline.left, np.asarray(density, np.float32), 0.6 * core, inside)


def paint_red_cell(cell: Cell, stain: Stain, scale: float) -> Layer:
    """The layer of one red cell: a ring or a disc with a darker rim, a bright fringe and maybe specks."""
    rng = np.random.default_rng(cell.seed)
    aspect = float(np.exp(abs(rng.normal(0.0, 0.2))))
    wobble = stain.irregular * float(rng.choice([0.6, 1.0, 2.2], p=[0.4, 0.45, 0.15]))
    outline = round_outline(rng, cell.x, cell.y, diameter=cell.diameter, aspect=aspect, wobble=wobble)
    soft = 2.4 * scale / outline.radius + 0.01
    far = np.linspace(0.0, FAR, STEPS, dtype=np.float32)  # what depends on rho alone is tabulated over it
    step = np.minimum(outline.rho * np.float32((STEPS - 1) / FAR), STEPS - 1).astype(np.int32)  # (h, w)
    body = smooth_step(far, 1.0 + soft / 2, 1.0 - soft)[step]
    fringe = (bell(far, 0.94, 0.06) * np.float32(rng.uniform(0.4, 1.3)))[:, None] * stain.rim
    fringe -= (bell(far, 1.04 + soft, 0.06) * np.float32(stain.halo))[:, None] * HALO  # (STEPS, 3)
    ghost = rng.random() < 0.08
    strength = np.exp(rng.normal(0.0, 0.13)) * (rng.uniform(0.35, 0.7) if ghost else 1.0)
    matter = body * _thickness(rng, outline, stain) * np.float32(strength)  # (h, w)
    density = matter[..., None] * stain.red
    density += np.take(fringe, step, axis=0)
    for _ in range(rng.poisson(stain.specks)):
        density += _speck(rng, outline, scale)
    return Layer(outline.top, outline.left, density, body, outline.rho <= 1.0)


def _thickness(rng: np.random.Generator, outline: Outline, stain: Stain) -> Plane:
    """How much haemoglobin the light meets, (h, w), about 1 on the ring."""
    ring = rng.random() < stain.pallor
    pallor = rng.uniform(0.4, 0.98) if ring else rng.uniform(-0.12, 0.25)
    aside = min(abs(rng.normal(0.0, 0.2)), 0.6)  # 0.5: the pale part is a crescent
    lean = np.cos(outline.turn - np.float32(rng.uniform(0, 2 * np.pi)))
    shifted = outline.rho * (1.0 + np.float32(aside) * lean) * np.float32(1 / rng.uniform(0.38, 0.68))
    hollow = shifted * shifted
    if rng.random() < 0.7:
        hollow *= hollow * (hollow if rng.random() < 0.4 else 1.0)  # a flat floor with a steep wall
    hollow = np.exp(-hollow)
    slope = 1.0 + np.float32(rng.normal(0.0, 0.08)) * np.minimum(outline.rho, 1.0) * lean
    mottle = 1.0 + np.float32(0.035) * blotches(rng, outline.rho.shape, outline.radius / 3)
    return np.asarray((1.0 - np.float32(pallor) * hollow) * slope * mottle, np.float32)


def _speck(rng: np.random.Generator, outline: Outline, scale: float) -> Plane:
    """Added density (h, w, 3) of a refractile speck: a glint with a dark edge, or only a dark dot."""
    h, w = outline.rho.shape
    angle, far = rng.uniform(0, 2 * np.pi), 0.65 * outline.radius * np.sqrt(rng.random())
    x, y = w / 2 + far * np.cos(angle), h / 2 + far * np.sin(angle)
    size = rng.uniform(3.0, 8.5) * scale
    lean, aspect = rng.uniform(0, np.pi), rng.uniform(1.0, 1.5)
    dx = np.arange(w, dtype=np.float32)[None] - np.float32(x)
    dy = np.arange(h, dtype=np.float32)[:, None] - np.float32(y)
    c, s = np.float32(np.cos(lean)), np.float32(np.sin(lean))
    u, v = (dx * c + dy * s) / np.float32(size * aspect), (dy * c - dx * s) / np.float32(size / aspect)
    r = np.sqrt(u * u + v * v)
    edge = bell(r, 1.0, 0.5) * np.float32(rng.uniform(0.04, 0.28))
    core = bell(r, 0.0, 0.65) * np.float32(rng.choice([0.45, 0.25, -0.2], p=[0.4, 0.35, 0.25]))
    return np.asarray(edge[..., None] - core[..., None] * GLINT, np.float32)


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
