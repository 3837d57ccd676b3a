"""Pooling at sizes known beforehand: the 7x7 grid of linear SRA, and the windows of moves. Exact for every size."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pooling_matrix(size: int, bins: int) -> Tensor:
    """The matrix (bins, size) whose row i averages the span PyTorch's adaptive pooling gives bin i, float64.

    Bin i covers floor(i*size/bins) up to ceil((i+1)*size/bins); neighbours overlap when bins do not divide size.
    """
    return _averages([(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)], size)


def window_matrix(size: int, side: int) -> Tensor:
    """The matrix (size/side rounded up, size) whose row i averages the i-th window, the last over what it holds."""
    return _averages([(start, min(start + side, size)) for start in range(0, size, side)], size)


def _averages(spans: list[tuple[int, int]], size: int) -> Tensor:
    matrix = torch.zeros(len(spans), size, dtype=torch.float64)
    for row, (start, stop) in zip(matrix, spans, strict=True):
        row[start:stop] = 1.0 / (stop - start)
    return matrix


class FixedPool(nn.Module):
    """Tokens (B, H*W, C) -> pooled tokens (B, H'*W', C), by matrices `rows` (H', H) and `columns` (W', W).

    One product per axis, in token layout; they take the type of the weight `like`.
    """

    def __init__(self, rows: Tensor, columns: Tensor, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows.to(like))
        self.register_buffer("columns", columns.to(like))

    def forward(self, x: Tensor) -> Tensor:
        rows: Tensor = self.rows  # type: ignore[assignment]
        columns: Tensor = self.columns  # type: ignore[assignment]
        (bins_h, h), (bins_w, w), c = rows.shape, columns.shape, x.shape[2]
        x = rows @ x.reshape(-1, h, w * c)  # (B, H', W*C)
        x = columns @ x.reshape(-1, bins_h, w, c)  # (B, H', W', C)
        return x.reshape(-1, bins_h * bins_w, c)


class WindowPool(nn.Module):
    """Map (B, C, H, W) -> its averages over windows of `side` x `side`, see `pool_tokens` of the training form.

    A depthwise convolution where windows fill the map: OpenVINO's average pool wants channels first, and all around it
    is channels last. Matrices where they do not.
    """

    def __init__(self, map_hw: tuple[int, int], side: int, like: Tensor) -> None:
        super().__init__()
        self.side = side
        self.map_hw = (-(-map_hw[0] // side), -(-map_hw[1] // side))  # of what it gives
        self.matrices: FixedPool | None = None
        if any(length % side for length in map_hw):
            self.matrices = FixedPool(window_matrix(map_hw[0], side), window_matrix(map_hw[1], side), like)
        else:
            self.register_buffer("share", like.new_full((like.shape[1], 1, side, side), 1.0 / side**2))

    def forward(self, x: Tensor) -> Tensor:
        if self.matrices is None:
            share: Tensor = self.share  # type: ignore[assignment]
            return F.conv2d(x, share, stride=self.side, groups=share.shape[0])
        pooled = self.matrices(x.flatten(2).transpose(1, 2))  # (B, H'*W', C)
        found: Tensor = pooled.transpose(1, 2).reshape(-1, pooled.shape[2], *self.map_hw)
        return found


class Spread(nn.Module):
    """The opposite: map (B, C, H/side, W/side) -> (B, C, H, W), each value at all places of its window."""

    def __init__(self, map_hw: tuple[int, int], side: int) -> None:
        super().__init__()
        self.map_hw = map_hw
        self.whole_hw = tuple(-(-length // side) * side for length in map_hw)  # of all windows

    def forward(self, x: Tensor) -> Tensor:
        # by size: the factors would be floats that a graph in half precision may not hold as such
        x = F.interpolate(x, size=self.whole_hw, mode="nearest")
        return x[:, :, : self.map_hw[0], : self.map_hw[1]]


def pool_and_spread(map_hw: tuple[int, int], side: int, like: Tensor) -> tuple[nn.Module, nn.Module, tuple[int, int]]:
    """Both, and the size of the map between them, for what the weight `like` reads; for a side of 1 they do nothing."""
    if side == 1:
        return nn.Identity(), nn.Identity(), map_hw
    pool = WindowPool(map_hw, side, like)
    return pool, Spread(map_hw, side), pool.map_hw
