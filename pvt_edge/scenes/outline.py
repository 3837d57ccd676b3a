"""Closed outlines of cells on the pixel grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvt_edge.scenes.texture import Plane

STEPS = 256  # directions in which an outline's radius is tabulated
MARGIN = 1.18  # patch size over outline size: room for the fringe around a cell


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
