"""How the learning rate goes over a run, and how averaged weights follow the trained ones."""

import math

import torch

EMA_DECAY = 0.999
LEAST_RATE = 0.01  # of the full one, at the end


def rate_at(share: float, warmup: float) -> float:
    """The share of the full rate at a point of the run, 0..1: linear up to `warmup`, then a cosine down to 0.01."""
    if share < warmup:
        return max(share / warmup, LEAST_RATE)
    progress = (share - warmup) / max(1e-9, 1 - warmup)
    return LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def follow(average: torch.Tensor, current: torch.Tensor, updates: torch.Tensor | int) -> torch.Tensor:
    """The next value of an exponential average, which follows faster at the start."""
    if not average.is_floating_point():
        return current
    count = float(updates)
    return torch.lerp(average, current, 1 - min(EMA_DECAY, (1 + count) / (10 + count)))
