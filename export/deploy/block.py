"""Transformer block in deploy form: the same function, fewer and friendlier operations.

LayerNorms lose their affine part to the layer behind them, the attention scale lives in the query weights,
keys and values are projections of their own, attention is two plain matrix products, and all sizes are constants.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.export.deploy.folding import fold_norm_into_conv, fold_norm_into_linear, scale_linear, split_linear
from pvt_edge.export.deploy.pooling import FixedPool
from pvt_edge.models.backbone import LINEAR_POOL, Attention, Block, Mlp


class PlainNorm(nn.Module):
    """LayerNorm over the last axis without affine: (x - mean) / sqrt(var + eps)."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.dim, self.eps = norm.normalized_shape[0], norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (self.dim,), eps=self.eps)


class Reduction(nn.Module):
    """Key/value tokens (B, M, C) from normalised tokens (B, N, C): convolution of stride `sr_ratio`, LayerNorm."""

    def __init__(self, norm1: nn.LayerNorm, attn: Attention, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.map_hw = map_hw
        self.sr = fold_norm_into_conv(norm1, attn.sr)
        self.norm = PlainNorm(attn.norm)

    def forward(self, x: Tensor) -> Tensor:
        h, w = self.map_hw
        grid = x.transpose(1, 2).reshape(-1, x.shape[2], h, w)  # (B, C, H, W)
        reduced: Tensor = self.norm(self.sr(grid).flatten(2).transpose(1, 2))
        return reduced


class PooledReduction(nn.Module):
    """B2-Li's key/value tokens (B, 49, C): average pool to 7x7, 1x1 convolution as a linear, LayerNorm, GELU.

    norm1 passes through the pool because every row of a pooling matrix sums to 1. The second LayerNorm keeps its
    affine part: a GELU stands between it and the next linear.
    """

    def __init__(self, norm1: nn.LayerNorm, attn: Attention, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.pool = FixedPool(map_hw, LINEAR_POOL, attn.sr.weight)
        folded = fold_norm_into_conv(norm1, attn.sr)
        assert folded.bias is not None
        self.sr = nn.Linear(folded.in_channels, folded.out_channels)
        self.sr.weight, self.sr.bias = nn.Parameter(folded.weight.flatten(1)), nn.Parameter(folded.bias)
        self.norm = attn.norm

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.norm(self.sr(self.pool(x))))


class DeployAttention(nn.Module):
    """Normalised tokens (B, N, C) -> attention output (B, N, C)."""

    def __init__(self, norm1: nn.LayerNorm, attn: Attention, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.heads = attn.heads
        self.reduction: nn.Module = nn.Identity()
        k, v = split_linear(attn.kv, 2)
        if attn.linear:
            self.reduction = PooledReduction(norm1, attn, map_hw)
        elif attn.reduces:
            self.reduction = Reduction(norm1, attn, map_hw)
            k, v = fold_norm_into_linear(attn.norm, k), fold_norm_into_linear(attn.norm, v)
        else:
            k, v = fold_norm_into_linear(norm1, k), fold_norm_into_linear(norm1, v)
        head_dim = attn.q.out_features // attn.heads
        self.q = scale_linear(fold_norm_into_linear(norm1, attn.q), head_dim**-0.5)
        self.k, self.v, self.proj = k, v, attn.proj

    def _split_heads(self, x: Tensor, order: tuple[int, ...]) -> Tensor:
        return x.reshape(-1, x.shape[1], self.heads, x.shape[2] // self.heads).permute(order)

    def forward(self, x: Tensor) -> Tensor:
        source = self.reduction(x)
        q = self._split_heads(self.q(x), (0, 2, 1, 3))  # (B, heads, N, C/heads)
        k = self._split_heads(self.k(source), (0, 2, 3, 1))  # (B, heads, C/heads, M)
        v = self._split_heads(self.v(source), (0, 2, 1, 3))  # (B, heads, M, C/heads)
        out = torch.softmax(q @ k, dim=-1) @ v  # (B, heads, N, C/heads)
        projected: Tensor = self.proj(out.permute(0, 2, 1, 3).reshape(x.shape))
        return projected


class DeployMlp(nn.Module):
    """Normalised tokens (B, N, C) -> MLP output (B, N, C)."""

    def __init__(self, norm2: nn.LayerNorm, mlp: Mlp, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.map_hw, self.linear = map_hw, mlp.linear
        self.fc1 = fold_norm_into_linear(norm2, mlp.fc1)
        self.dwconv, self.fc2 = mlp.dwconv, mlp.fc2

    def forward(self, x: Tensor) -> Tensor:
        h, w = self.map_hw
        x = self.fc1(x)  # (B, N, hidden)
        if self.linear:
            x = F.relu(x)
        grid = x.transpose(1, 2).reshape(-1, x.shape[2], h, w)
        x = self.dwconv(grid).flatten(2).transpose(1, 2)
        out: Tensor = self.fc2(F.gelu(x))
        return out


class DeployBlock(nn.Module):
    """Tokens (B, N, C) -> tokens (B, N, C)."""

    def __init__(self, block: Block, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.norm1, self.norm2 = PlainNorm(block.norm1), PlainNorm(block.norm2)
        self.attn = DeployAttention(block.norm1, block.attn, map_hw)
        self.mlp = DeployMlp(block.norm2, block.mlp, map_hw)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out
