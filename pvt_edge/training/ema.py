"""Exponential moving average of a model's weights."""

import copy

import torch
from torch import nn


class WeightAverage:
    """Keeps `model`, a copy whose tensors follow the trained ones at rate 1 - decay (faster at the start)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        """Move the average one step towards `source`."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        for kept, new in zip(self.model.state_dict().values(), source.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)
