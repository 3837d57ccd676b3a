"""What every painter of cells needs: smooth steps, outlines, the stain of a smear, and the layer that a cell adds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Spectrum = NDArray[np.float32]  # optical density per channel (3,), BGR: light that passes is exp(-density)
STEPS = 256  # directions in which an outline's radius is tabulated
MARGIN = 1.18  # patch size over outline size: room for the fringe around a cell


def smooth_step(x: Plane, low: float, high: float) -> Plane:
    """0 where `x` is below `low`, 1 above `high`, a cubic between; low > high makes a falling step."""
    t = np.clip((x - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def bell(x: Plane, centre: float, width: float) -> Plane:
    """exp(-((x - centre) / width)^2)."""
    t = (x - np.float32(centre)) * np.float32(1.0 / width)
    return np.asarray(np.exp(-t * t), np.float32)


def blotches(rng: np.random.Generator, hw: tuple[int, int], grain: float) -> Plane:
    """Noise (h, w) of about unit deviation whose blotches are `grain` pixels wide."""
    import cv2

    grain = max(grain, 1.0)
    coarse_hw = (int(hw[0] / grain) + 3, int(hw[1] / grain) + 3)
    coarse = rng.standard_normal(coarse_hw, dtype=np.float32)
    wide_hw = (int(coarse_hw[0] * grain), int(coarse_hw[1] * grain))
    wide = cv2.resize(coarse, wide_hw[::-1], interpolation=cv2.INTER_CUBIC)
    top, left = rng.integers(0, wide_hw[0] - hw[0] + 1), rng.integers(0, wide_hw[1] - hw[1] + 1)
    return np.asarray(wide[top : top + hw[0], left : left + hw[1]], np.float32) * np.float32(1.2)


@dataclass(frozen=True)
class Layer:
    """One cell's patch.

    `density` (h, w, 3): optical density BGR, `cover` (h, w): how far it hides what lies below, 0..1, `inside`
    (h, w): the pixels of the cell itself, without its fringe. `top`, `left` as in `Outline`.
    """

    top: int
    left: int
    density: NDArray[np.float32]
    cover: Plane
    inside: NDArray[np.bool_]


def overlap(top: int, left: int, patch_hw: tuple[int, ...], hw: tuple[int, ...]) -> tuple[slice, slice, slice, slice]:
    """Rows and columns of a picture (H, W) under a patch, then those of the same pixels in the patch."""
    y0, y1 = max(top, 0), max(min(top + patch_hw[0], hw[0]), 0)
    x0, x1 = max(left, 0), max(min(left + patch_hw[1], hw[1]), 0)
    y1, x1 = max(y0, y1), max(x0, x1)
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


@dataclass(frozen=True)
class Outline:
    """A patch of the picture with one closed outline in it.

    `top`, `left`: the patch's place in the picture, negative where it begins outside. `rho` (h, w): distance
    from the centre over the outline's distance in that direction, so 1 on the outline. `turn` (h, w):
    direction in 0..2 pi. `radius`: mean radius in pixels.
    """

    top: int
    left: int
    rho: Plane
    turn: Plane
    radius: float


def round_outline(
    rng: np.random.Generator,
    x: float,
    y: float,
    *,
    diameter: float,
    aspect: float = 1.0,
    wobble: float = 0.03,
    waves: int = 5,
) -> Outline:
    """An ellipse about (x, y) of random direction, `aspect` long to short, its radius shaken by `wobble`.

    The shaking is a sum of `waves` harmonics that get weaker with their frequency.
    """
    import cv2

    half = diameter / 2
    turned = rng.uniform(0, np.pi)
    long, short = half * np.sqrt(aspect), half / np.sqrt(aspect)
    radii = _radii(rng, wobble, waves)  # (STEPS,)
    reach = long * float(radii.max()) * MARGIN + 2.0
    left, top = int(np.floor(x - reach)), int(np.floor(y - reach))
    size = int(np.ceil(2 * reach)) + 1
    dx = np.arange(left, left + size, dtype=np.float32)[None, :] + np.float32(0.5 - x)  # pixel centres
    dy = np.arange(top, top + size, dtype=np.float32)[:, None] + np.float32(0.5 - y)
    c, s = np.float32(np.cos(turned)), np.float32(np.sin(turned))
    u = (dx * c + dy * s) * np.float32(1 / long)  # (h, w)
    v = (dy * c - dx * s) * np.float32(1 / short)
    distance, turn = cv2.cartToPolar(u, v)
    index = (turn * np.float32(STEPS / (2 * np.pi))).astype(np.int32) & (STEPS - 1)
    rho = np.asarray(distance, np.float32) / radii[index]
    return Outline(top, left, rho, np.asarray(turn, np.float32), half)


def _radii(rng: np.random.Generator, wobble: float, waves: int) -> NDArray[np.float32]:
    order = np.arange(2, 2 + waves)
    height = rng.normal(0.0, wobble, waves) * 2.0 / order
    phase = rng.uniform(0, 2 * np.pi, waves)
    angle = np.linspace(0, 2 * np.pi, STEPS, endpoint=False)[:, None]
    radii = 1.0 + (height * np.cos(order * angle + phase)).sum(axis=1)
    return np.asarray(np.clip(radii, 0.5, 1.6), np.float32)


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
