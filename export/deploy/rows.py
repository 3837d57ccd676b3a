"""Blocks on rows of tokens: a rewrite of the deploy form for INT8 in ONNX Runtime. Exact up to float rounding.

Its int8 products of matrices may give float32, so that a linear pays for one quantiser, of what it reads; its int8
convolutions have to give bytes, which a norm, a softmax or a residual addition cannot read. So the residual stream is a
matrix (B*H*W, C) through all blocks of a stage, and linears and spatial reductions are products of it. Only fc1 and the
depthwise convolution behind it are convolutions of a map, whose kernels hand bytes to each other.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.export.deploy.block import DeployAttention, DeployBlock, DeployMlp, MapNorm, PooledReduction, Reduction
from pvt_edge.export.deploy.pooling import WindowPool

Size = tuple[int, int]


def to_rows(x: Tensor) -> Tensor:
    """Map (B, C, H, W) -> rows (B*H*W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def to_map(rows: Tensor, map_hw: Size) -> Tensor:
    """Rows (B*H*W, C) -> map (B, C, H, W)."""
    return rows.reshape(-1, *map_hw, rows.shape[1]).permute(0, 3, 1, 2)


class OnMap(nn.Module):
    """What `inner` makes of a map, from rows to rows."""

    def __init__(self, inner: nn.Module, map_hw: Size) -> None:
        super().__init__()
        self.inner, self.map_hw = inner, map_hw

    def forward(self, x: Tensor) -> Tensor:
        return to_rows(self.inner(to_map(x, self.map_hw)))


def on_map(inner: nn.Module, map_hw: Size) -> nn.Module:
    """`OnMap`, unless `inner` does nothing."""
    return inner if isinstance(inner, nn.Identity) else OnMap(inner, map_hw)


class Product(nn.Module):
    """A convolution of stride k by k x k windows, without padding, on rows: (B*H*W, C) -> (B*H*W/k^2, C')."""

    def __init__(self, conv: nn.Conv2d, map_hw: Size) -> None:
        super().__init__()
        assert conv.bias is not None and conv.kernel_size == conv.stride and not any(conv.padding)
        self.map_hw, self.side = map_hw, conv.kernel_size[0]
        self.weight = nn.Parameter(conv.weight.permute(0, 2, 3, 1).flatten(1).clone())
        self.bias = nn.Parameter(conv.bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        if self.side > 1:
            (height, width), side, channels = self.map_hw, self.side, x.shape[1]
            windows = x.reshape(-1, height // side, side, width // side, side * channels)
            x = windows.transpose(2, 3).reshape(-1, side * side * channels)
        return F.linear(x, self.weight, self.bias)


class RowReduction(nn.Module):
    """As Reduction, whose windows fill the map."""

    def __init__(self, reduction: Reduction, map_hw: Size) -> None:
        super().__init__()
        self.conv, self.norm, self.map_hw = Product(reduction.conv, map_hw), reduction.norm.norm, reduction.map_hw

    def forward(self, x: Tensor) -> Tensor:
        reduced: Tensor = self.norm(self.conv(x))
        return reduced


class RowAttention(nn.Module):
    """As DeployAttention."""

    def __init__(self, attn: DeployAttention, map_hw: Size) -> None:
        super().__init__()
        self.heads, self.queries = attn.heads, attn.map_hw[0] * attn.map_hw[1]
        keys_hw = map_hw
        self.sr: nn.Module = attn.sr
        if isinstance(attn.sr, Reduction):
            keys_hw, self.sr = attn.sr.map_hw, RowReduction(attn.sr, map_hw)
        elif isinstance(attn.sr, PooledReduction):
            keys_hw, self.sr = attn.sr.map_hw, OnMap(attn.sr, map_hw)
        self.pool, self.pool_keys = on_map(attn.pool, map_hw), on_map(attn.pool_keys, keys_hw)
        self.spread = on_map(attn.spread, attn.map_hw)
        if isinstance(attn.pool_keys, WindowPool):
            keys_hw = attn.pool_keys.map_hw
        self.keys = keys_hw[0] * keys_hw[1]
        self.q, self.proj = Product(attn.q, attn.map_hw), Product(attn.proj, attn.map_hw)
        self.k, self.v = Product(attn.k, keys_hw), Product(attn.v, keys_hw)

    def _heads(self, rows: Tensor, tokens: int) -> Tensor:
        """(B*N, C) -> (B, N, heads, C/heads)."""
        return rows.reshape(-1, tokens, self.heads, rows.shape[1] // self.heads)

    def forward(self, x: Tensor) -> Tensor:
        source = self.pool_keys(self.sr(x))
        q = self._heads(self.q(self.pool(x)), self.queries).transpose(1, 2)  # (B, heads, N, C/heads)
        k = self._heads(self.k(source), self.keys).permute(0, 2, 3, 1)  # (B, heads, C/heads, M)
        v = self._heads(self.v(source), self.keys).transpose(1, 2)
        out = torch.softmax(q @ k, dim=-1) @ v
        projected: Tensor = self.spread(self.proj(out.transpose(1, 2).reshape(-1, x.shape[1])))
        return projected


class RowMlp(nn.Module):
    """As DeployMlp."""

    def __init__(self, mlp: DeployMlp, map_hw: Size) -> None:
        super().__init__()
        small_hw = mlp.pool.map_hw if isinstance(mlp.pool, WindowPool) else map_hw
        self.pool, self.spread = on_map(mlp.pool, map_hw), on_map(mlp.spread, small_hw)
        self.linear, self.map_hw = mlp.linear, small_hw
        self.fc1, self.dwconv, self.fc2 = mlp.fc1, mlp.dwconv, Product(mlp.fc2, small_hw)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(to_map(self.pool(x), self.map_hw))  # (B, hidden, H, W)
        if self.linear:
            x = F.relu(x)
        out: Tensor = self.spread(self.fc2(F.gelu(to_rows(self.dwconv(x)))))
        return out


class RowBlock(nn.Module):
    """As DeployBlock, rows (B*H*W, C) to rows."""

    def __init__(self, block: DeployBlock, map_hw: Size) -> None:
        super().__init__()
        self.norm1 = self.attn = self.norm2 = self.mlp = None
        if block.attn is not None:
            self.norm1, self.attn = block.norm1.norm, RowAttention(block.attn, map_hw)
        if block.mlp is not None:
            self.norm2, self.mlp = block.norm2.norm, RowMlp(block.mlp, map_hw)

    def forward(self, x: Tensor) -> Tensor:
        if self.attn is not None and self.norm1 is not None:
            x = x + self.attn(self.norm1(x))
        if self.mlp is not None and self.norm2 is not None:
            x = x + self.mlp(self.norm2(x))
        return x


class RowBlocks(nn.Sequential):
    """The blocks of a stage, map (B, C, H, W) to map, on rows between."""

    def __init__(self, blocks: nn.Sequential, map_hw: Size) -> None:
        super().__init__(*(RowBlock(block, map_hw) for block in blocks))  # type: ignore[arg-type]
        self.map_hw = map_hw

    def forward(self, x: Tensor) -> Tensor:
        rows = to_rows(x)
        for block in self:
            rows = block(rows)
        return to_map(rows, self.map_hw)


@torch.no_grad()
def compute_on_rows(stages: nn.ModuleList) -> None:
    """Rewrite the blocks of a backbone's stages in place; a stage of a class token stays as it is."""
    for stage in stages:
        blocks, norm = stage.blocks, stage.embed_norm
        assert isinstance(blocks, nn.Sequential) and isinstance(norm, MapNorm)
        if all(isinstance(block, DeployBlock) for block in blocks):
            stage.blocks = RowBlocks(blocks, norm.map_hw)
    stages.requires_grad_(False)
