"""Transformer block in deploy form: the same function, fewer and friendlier operations.

LayerNorms lose their affine part to the layer behind them, the attention scale lives in the query weights, keys and
values are projections of their own, attention is two plain matrix products, and all sizes are constants.

Everything travels as maps (B, C, H, W), with 1x1 convolutions for linears: in the channels-last layout that runtimes
choose, tokens are the same memory, and a convolution takes the residual addition and the quantiser behind it into its
own kernel, where a linear between reshapes takes neither.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.export.deploy.folding import (
    as_conv,
    fold_norm_into_conv,
    fold_norm_into_linear,
    scale_linear,
    split_linear,
)
from pvt_edge.export.deploy.pooling import FixedPool, WindowPool, pool_and_spread, pooling_matrix
from pvt_edge.models.pvt_v2 import Attention, Block, Mlp, PatchEmbed, Stage
from pvt_edge.moves import LINEAR_POOL


class PlainNorm(nn.Module):
    """LayerNorm over the last axis without affine: (x - mean) / sqrt(var + eps)."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.dim, self.eps = norm.normalized_shape[0], norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (self.dim,), eps=self.eps)


def to_tokens(x: Tensor) -> Tensor:
    """Map (B, C, H, W) -> tokens (B, H*W, C)."""
    return x.flatten(2).transpose(1, 2)


def to_map(tokens: Tensor, map_hw: tuple[int, int]) -> Tensor:
    """Tokens (B, H*W, C) -> map (B, C, H, W)."""
    return tokens.transpose(1, 2).reshape(-1, tokens.shape[2], *map_hw)


class MapNorm(nn.Module):
    """LayerNorm over the channels of a map (B, C, H, W); without affine unless `affine`."""

    def __init__(self, norm: nn.LayerNorm, map_hw: tuple[int, int], affine: bool = False) -> None:
        super().__init__()
        self.norm: nn.Module = norm if affine else PlainNorm(norm)
        self.map_hw = map_hw

    def forward(self, x: Tensor) -> Tensor:
        return to_map(self.norm(to_tokens(x)), self.map_hw)


class Reduction(nn.Module):
    """Key/value map (B, C, H/sr, W/sr) from the normalised map: convolution of stride `sr_ratio`, LayerNorm."""

    def __init__(self, norm1: nn.LayerNorm, attn: Attention, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.conv = fold_norm_into_conv(norm1, attn.sr)
        self.map_hw = (map_hw[0] // attn.sr_ratio, map_hw[1] // attn.sr_ratio)  # of what it gives
        self.norm = MapNorm(attn.norm, self.map_hw)

    def forward(self, x: Tensor) -> Tensor:
        reduced: Tensor = self.norm(self.conv(x))
        return reduced


class PooledReduction(nn.Module):
    """B2-Li's key/value map (B, C, 7, 7): average pool, 1x1 convolution, LayerNorm, GELU.

    norm1 passes through the pool because every row of a pooling matrix sums to 1. The second LayerNorm keeps its
    affine part: a GELU stands between it and the next linear.
    """

    def __init__(self, norm1: nn.LayerNorm, attn: Attention, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.map_hw = (LINEAR_POOL, LINEAR_POOL)
        rows, columns = (pooling_matrix(length, LINEAR_POOL) for length in map_hw)
        self.pool = FixedPool(rows, columns, attn.sr.weight)
        self.conv = fold_norm_into_conv(norm1, attn.sr)
        self.norm = MapNorm(attn.norm, self.map_hw, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        pooled = to_map(self.pool(to_tokens(x)), self.map_hw)
        return F.gelu(self.norm(self.conv(pooled)))


class DeployAttention(nn.Module):
    """Normalised map (B, C, H, W) -> attention output, a map of the same shape."""

    def __init__(self, norm1: nn.LayerNorm, attn: Attention, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.heads = attn.heads
        self.pool, self.spread, self.map_hw = pool_and_spread(map_hw, attn.moves.pool_queries, attn.q.weight)
        self.sr: nn.Module = nn.Identity()
        k, v = split_linear(attn.kv, 2)
        if attn.linear:
            self.sr = PooledReduction(norm1, attn, map_hw)
        elif attn.reduces:
            self.sr = Reduction(norm1, attn, map_hw)
            k, v = fold_norm_into_linear(attn.norm, k), fold_norm_into_linear(attn.norm, v)
        else:
            k, v = fold_norm_into_linear(norm1, k), fold_norm_into_linear(norm1, v)
        self.pool_keys: nn.Module = nn.Identity()
        if attn.moves.pool_keys > 1:
            keys_hw = map_hw if isinstance(self.sr, nn.Identity) else self.sr.map_hw
            self.pool_keys = WindowPool(keys_hw, attn.moves.pool_keys, attn.kv.weight)
        head_dim = attn.q.out_features // attn.heads
        self.q = as_conv(scale_linear(fold_norm_into_linear(norm1, attn.q), head_dim**-0.5))
        self.k, self.v, self.proj = as_conv(k), as_conv(v), as_conv(attn.proj)

    def _heads(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) -> (B, heads, H*W, C/heads)."""
        tokens = to_tokens(x)
        return tokens.reshape(-1, tokens.shape[1], self.heads, tokens.shape[2] // self.heads).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        source = self.pool_keys(self.sr(x))
        q, v = self._heads(self.q(self.pool(x))), self._heads(self.v(source))
        k = self.k(source).reshape(-1, self.heads, q.shape[3], v.shape[2])  # (B, heads, C/heads, M): already transposed
        out = torch.softmax(q @ k, dim=-1) @ v  # (B, heads, N, C/heads)
        tokens = out.permute(0, 2, 1, 3).reshape(-1, out.shape[2], x.shape[1])
        projected: Tensor = self.spread(self.proj(to_map(tokens, self.map_hw)))
        return projected


class DeployMlp(nn.Module):
    """Normalised map (B, C, H, W) -> MLP output, a map of the same shape."""

    def __init__(self, norm2: nn.LayerNorm, mlp: Mlp, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.pool, self.spread, _ = pool_and_spread(map_hw, mlp.moves.pool, mlp.fc1.weight)
        self.linear = mlp.linear
        self.fc1 = as_conv(fold_norm_into_linear(norm2, mlp.fc1))
        self.dwconv, self.fc2 = mlp.dwconv, as_conv(mlp.fc2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(self.pool(x))  # (B, hidden, H, W)
        if self.linear:
            x = F.relu(x)
        out: Tensor = self.spread(self.fc2(F.gelu(self.dwconv(x))))
        return out


class DeployBlock(nn.Module):
    """Map (B, C, H, W) -> map (B, C, H, W); a branch that is left out is not there."""

    def __init__(self, block: Block, map_hw: tuple[int, int]) -> None:
        super().__init__()
        self.attn = self.mlp = None
        if not block.attn.moves.leave_out:
            self.norm1, self.attn = MapNorm(block.norm1, map_hw), DeployAttention(block.norm1, block.attn, map_hw)
        if not block.mlp.moves.leave_out:
            self.norm2, self.mlp = MapNorm(block.norm2, map_hw), DeployMlp(block.norm2, block.mlp, map_hw)

    def forward(self, x: Tensor) -> Tensor:
        if self.attn is not None:
            x = x + self.attn(self.norm1(x))
        if self.mlp is not None:
            x = x + self.mlp(self.norm2(x))
        return x


class DeployStage(nn.Module):
    """Map (B, C', H', W') -> map (B, C, H, W); with `plain_norm` the last LayerNorm has no affine part."""

    def __init__(self, stage: Stage, map_hw: tuple[int, int], plain_norm: bool) -> None:
        super().__init__()
        embed = stage.patch_embed
        assert isinstance(embed, PatchEmbed)
        self.patch_embed, self.embed_norm = embed.proj, MapNorm(embed.norm, map_hw, affine=True)
        self.blocks = nn.Sequential(*(DeployBlock(block, map_hw) for block in stage.blocks))  # type: ignore[arg-type]
        self.norm = MapNorm(stage.norm, map_hw, affine=not plain_norm)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.blocks(self.embed_norm(self.patch_embed(x))))
        return out
