"""The segmenter's decoder for OpenVINO: the same class map with less work."""

import torch
from torch import Tensor

from pvt_edge.models.segment_decode import LogitDecode

FEW = 8  # classes that are compared one by one; of more the largest is looked for among all


class PhaseDecode(LogitDecode):
    """As `LogitDecode`, but for the rounding of the logits; of equal ones the lowest id is taken.

    A logit grows to 4x4 pixels, and what lies at one place of these is a mixture of neighbouring logits with the same
    weights everywhere. So each of the 16 places is computed for all logits at once, at a quarter of both sides, where
    it stays in the caches; only the ids are brought into their places. OpenVINO also takes long for ArgMax in float32,
    and runs resizes and matrix products in bf16 where it may, which rounds the class at borders; this is neither.
    """

    def forward(self, logits: Tensor) -> tuple[Tensor, ...]:
        columns = [
            torch.stack([self.class_map(mixed) for mixed in _phases(column, 2)], dim=2) for column in _phases(logits, 3)
        ]  # 4 of (B, h, 4, w)
        mask = torch.stack(columns, dim=4).flatten(3, 4).flatten(1, 2)
        return (mask, logits) if self.keep_logits else (mask,)

    def class_map(self, grown: Tensor) -> Tensor:
        if self.num_classes == 1:
            return super().class_map(grown)
        return self.to_ids(_first_of_few(grown) if self.num_classes <= FEW else _first_of_many(grown))


def _phases(x: Tensor, dim: int) -> list[Tensor]:
    """The values 3/8 and 1/8 before each of `x`, and 1/8 and 3/8 behind it, along `dim`; beyond its ends they stay."""
    length = x.shape[dim]
    before = torch.cat((x.narrow(dim, 0, 1), x.narrow(dim, 0, length - 1)), dim)
    behind = torch.cat((x.narrow(dim, 1, length - 1), x.narrow(dim, length - 1, 1)), dim)
    return [
        0.375 * before + 0.625 * x,
        0.125 * before + 0.875 * x,
        0.875 * x + 0.125 * behind,
        0.625 * x + 0.375 * behind,
    ]


def _first_of_few(x: Tensor) -> Tensor:
    """The place (B, h, w) of the largest of (B, K, h, w), the first of equal ones, as floats."""
    best, ids = x[:, 0], torch.zeros_like(x[:, 0])
    for number in range(1, x.shape[1]):
        other = x[:, number]
        ids = torch.where(other > best, float(number), ids)
        best = torch.maximum(best, other)
    return ids


def _first_of_many(x: Tensor) -> Tensor:
    """The same, in three steps whatever K is."""
    numbers = torch.arange(x.shape[1], dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
    return torch.where(x == x.amax(dim=1, keepdim=True), numbers, float(x.shape[1])).amin(dim=1)
