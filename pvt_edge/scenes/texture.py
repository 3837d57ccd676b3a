"""Small array shapes that every painter needs: smooth steps, bells and blotchy noise."""

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


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
