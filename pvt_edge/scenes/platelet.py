"""Platelets: small fuzzy purple grains."""

import numpy as np

from pvt_edge.scenes.layer import Layer
from pvt_edge.scenes.layout import Cell
from pvt_edge.scenes.outline import round_outline
from pvt_edge.scenes.stain import Stain
from pvt_edge.scenes.texture import blotches, smooth_step


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
