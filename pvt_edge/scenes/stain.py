"""The stain of one smear: what its cells take out of the light."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Spectrum = NDArray[np.float32]
"""Optical density per channel (3,), BGR: light that passes is exp(-density)."""


@dataclass(frozen=True)
class Stain:
    """Densities and habits that all cells of one smear share."""

    red: Spectrum
    rim: Spectrum
    cytoplasm: Spectrum
    nucleus: Spectrum
    platelet: Spectrum
    pallor: float  # 0: all red cells are solid discs, 1: all are rings
    clumping: float  # share of red cells that lie on another one, 0..1
    stacked: float  # share of the thinner of two stacked red cells that still darkens: they flatten
    specks: float  # expected refractile specks a red cell
    halo: float  # brightness of the fringe around cells
    size: float  # all cells of a smear swell or shrink together
    irregular: float  # how far outlines leave the ellipse


def draw_stain(rng: np.random.Generator) -> Stain:
    """A random stain, from thin pink smears with ringed cells to thick brown ones with dark nuclei."""
    thick = float(rng.beta(1.3, 1.8))
    red = _between((0.125, 0.205, 0.075), (0.320, 0.325, 0.115), thick) * _jitter(rng, 0.10)
    nucleus = _between((-0.060, 0.580, 0.320), (0.060, 0.880, 0.620), thick) * _jitter(rng, 0.10)
    cytoplasm = _between((0.035, 0.250, 0.110), (0.070, 0.330, 0.200), float(rng.random())) * _jitter(rng, 0.12)
    platelet = _between((0.000, 0.200, 0.150), (0.050, 0.320, 0.220), float(rng.random())) * _jitter(rng, 0.15)
    return Stain(
        red=red,
        rim=np.array((-0.040, 0.060, 0.075), np.float32) * np.float32(rng.uniform(0.2, 1.3)),
        cytoplasm=cytoplasm,
        nucleus=nucleus,
        platelet=platelet,
        pallor=float(np.clip(rng.normal(0.8 - 0.65 * thick, 0.15), 0.05, 0.95)),
        clumping=float(rng.uniform(0.25, 0.7) + 0.2 * thick),
        stacked=float(rng.uniform(0.08, 0.35)),
        specks=float(rng.choice([0.05, 0.3, 0.9]) * (0.5 + thick)),
        halo=float(rng.uniform(0.0, 0.06)),
        size=float(np.exp(rng.normal(0.0, 0.05))),
        irregular=float(rng.uniform(0.02, 0.06)),
    )


def _between(low: tuple[float, ...], high: tuple[float, ...], share: float) -> Spectrum:
    a, b = np.array(low, np.float32), np.array(high, np.float32)
    return (a + (b - a) * np.float32(share)).astype(np.float32)


def _jitter(rng: np.random.Generator, spread: float) -> Spectrum:
    """A common factor for the strength and a smaller one per channel for the hue, (3,)."""
    common = rng.normal(0.0, spread)
    return np.exp(common + rng.normal(0.0, spread / 3, size=3)).astype(np.float32)
