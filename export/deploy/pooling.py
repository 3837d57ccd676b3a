"""Adaptive average pooling as two fixed matrices, exact for every input size."""

import torch
from torch import Tensor, nn


def pooling_matrix(size: int, bins: int) -> Tensor:
    """The matrix (bins, size) whose row i averages the span PyTorch's adaptive pooling gives bin i, float64.

    Bin i covers floor(i*size/bins) up to ceil((i+1)*size/bins); neighbours overlap when bins do not divide size.
    """
    matrix = torch.zeros(bins, size, dtype=torch.float64)
    for i in range(bins):
        start, stop = i * size // bins, -(-(i + 1) * size // bins)
        matrix[i, start:stop] = 1.0 / (stop - start)
    return matrix


class FixedPool(nn.Module):
    """Tokens (B, H*W, C) -> pooled tokens (B, bins*bins, C); one product per axis, in token layout."""

    def __init__(self, map_hw: tuple[int, int], bins: int, like: Tensor) -> None:
        super().__init__()
        self.map_hw, self.bins = map_hw, bins
        self.register_buffer("rows", pooling_matrix(map_hw[0], bins).to(like))
        self.register_buffer("columns", pooling_matrix(map_hw[1], bins).to(like))

    def forward(self, x: Tensor) -> Tensor:
        (h, w), c = self.map_hw, x.shape[2]
        rows: Tensor = self.rows  # type: ignore[assignment]
        columns: Tensor = self.columns  # type: ignore[assignment]
        x = rows @ x.reshape(-1, h, w * c)  # (B, bins, W*C)
        x = columns @ x.reshape(-1, self.bins, w, c)  # (B, bins, bins, C)
        return x.reshape(-1, self.bins * self.bins, c)
