"""Red cells: translucent discs, thinner in the middle."""

import numpy as np

from pvt_edge.scenes.layer import Layer
from pvt_edge.scenes.layout import Cell
from pvt_edge.scenes.outline import Outline, round_outline
from pvt_edge.scenes.stain import Stain
from pvt_edge.scenes.texture import Plane, bell, blotches, smooth_step

STEPS, FAR = 256, 1.4  # table over rho, whose last entry is empty
HALO = np.array((0.6, 1.0, 1.0), np.float32)  # the bright fringe is yellowish
GLINT = np.array((0.8, 0.9, 1.0), np.float32)  # a refractile speck lets yellowish light through


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
