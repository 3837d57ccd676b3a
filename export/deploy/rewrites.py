"""Rewrites of the deploy form for one compiler each. Exact up to float rounding.

For TensorRT, attention on tokens: where OpenVINO and ONNX Runtime like 1x1 convolutions on maps, TensorRT fuses
linears on tokens with what stands around them, K with V into one product, and LayerNorm whole; seen in the layers it
builds.

For OpenVINO, LayerNorm without its mean: all that reads the residual stream is LayerNorm, which ignores the mean over
channels; so whatever writes to the stream may leave its mean out, by centred weights, and LayerNorm becomes a division
by the root mean square. On the CPUs measured, OpenVINO's RMS takes half the time of its MVN.
"""

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.block import (
    DeployAttention,
    DeployBlock,
    DeployStage,
    MapNorm,
    PlainNorm,
    PooledReduction,
    Reduction,
    to_map,
    to_tokens,
)
from pvt_edge.export.deploy.folding import centre_conv

QUERY_GROUPS = 2  # the fewest that make TensorRT fuse the attention of one head of one picture


class TokenLinear(nn.Module):
    """The linear on tokens (B, N, C) that gives what a 1x1 convolution gives on maps; weight (C, C')."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        self.weight = nn.Parameter(conv.weight[:, :, 0, 0].T.clone())
        self.bias = nn.Parameter(conv.bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class TokenAttention(nn.Module):
    """As DeployAttention. With `groups` above 1 the queries of its one head are split, as if into heads.

    TensorRT's fused kernel wants batch times heads of at least 2; every query sees all keys, so groups of queries
    are heads whose keys and values are the same.
    """

    def __init__(self, attn: DeployAttention, groups: int) -> None:
        super().__init__()
        assert groups == 1 or attn.heads == 1
        self.heads, self.map_hw, self.groups = attn.heads, attn.map_hw, groups
        self.sr, self.pool_keys, self.pool, self.spread = attn.sr, attn.pool_keys, attn.pool, attn.spread
        self.q, self.k, self.v = TokenLinear(attn.q), TokenLinear(attn.k), TokenLinear(attn.v)
        self.proj = TokenLinear(attn.proj)

    def _heads(self, tokens: Tensor) -> Tensor:
        """(B, N, C) -> (B, heads, N, C/heads), or for every group the same (B, groups, N, C)."""
        if self.groups > 1:
            return tokens.unsqueeze(1).expand(-1, self.groups, -1, -1)
        return tokens.unflatten(2, (self.heads, -1)).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        source = to_tokens(self.pool_keys(self.sr(x)))  # (B, M, C)
        q, k, v = self.q(to_tokens(self.pool(x))), self._heads(self.k(source)), self._heads(self.v(source))
        # (B, groups, N/groups, C) or (B, heads, N, C/heads)
        q = q.unflatten(1, (self.groups, -1)) if self.groups > 1 else self._heads(q)
        out = torch.softmax(q @ k.transpose(2, 3), dim=-1) @ v
        out = out.flatten(1, 2) if self.groups > 1 else out.permute(0, 2, 1, 3).flatten(2)  # (B, N, C)
        projected: Tensor = self.spread(to_map(self.proj(out), self.map_hw))
        return projected


@torch.no_grad()
def attend_on_tokens(stages: nn.ModuleList, *, batch: int = 1) -> None:
    """Rewrite the attention of a backbone's stages in place, for the smallest `batch` it will run at."""
    for stage in stages:
        for block in stage.blocks:  # type: ignore[union-attr]
            if block.attn is None:
                continue
            height, width = block.attn.map_hw
            alone = batch * block.attn.heads == 1 and height * width % QUERY_GROUPS == 0
            block.attn = TokenAttention(block.attn, QUERY_GROUPS if alone else 1)
    stages.requires_grad_(False)


class MapRms(nn.Module):
    """x / sqrt(mean(x^2) + eps) over the channels of a map (B, C, H, W) whose channel mean is 0."""

    def __init__(self, norm: MapNorm) -> None:
        super().__init__()
        inner = norm.norm
        assert isinstance(inner, PlainNorm | nn.LayerNorm)
        self.map_hw, self.eps = norm.map_hw, inner.eps
        self.weight = inner.weight if isinstance(inner, nn.LayerNorm) else None
        self.bias = inner.bias if isinstance(inner, nn.LayerNorm) else None

    def forward(self, x: Tensor) -> Tensor:
        tokens = to_tokens(x)
        scaled = tokens / torch.sqrt((tokens * tokens).mean(2, keepdim=True) + self.eps)
        if self.weight is not None and self.bias is not None:
            scaled = scaled * self.weight + self.bias
        return to_map(scaled, self.map_hw)


def _centred_embed_norm(norm: MapNorm) -> nn.Sequential:
    """LayerNorm of a centred map, itself centred: its affine part becomes a 1x1 convolution that takes the mean off."""
    inner = norm.norm
    assert isinstance(inner, nn.LayerNorm)
    mix = nn.Conv2d(inner.weight.shape[0], inner.weight.shape[0], 1, dtype=inner.weight.dtype)
    mix.weight = nn.Parameter(torch.diag(inner.weight)[:, :, None, None])
    mix.bias = nn.Parameter(inner.bias.clone())
    plain = MapNorm(inner, norm.map_hw)
    return nn.Sequential(MapRms(plain), centre_conv(mix))


def _centre_block(block: DeployBlock) -> None:
    if block.attn is not None:
        reduction = block.attn.sr
        if isinstance(reduction, Reduction | PooledReduction):
            reduction.conv = centre_conv(reduction.conv)
            reduction.norm = MapRms(reduction.norm)  # type: ignore[assignment]
        block.norm1, block.attn.proj = MapRms(block.norm1), centre_conv(block.attn.proj)  # type: ignore[assignment]
    if block.mlp is not None:
        block.norm2, block.mlp.fc2 = MapRms(block.norm2), centre_conv(block.mlp.fc2)  # type: ignore[assignment]


@torch.no_grad()
def centre(stages: nn.ModuleList) -> None:
    """Rewrite the norms of a backbone's stages in place; its outputs stay what they were."""
    for stage in stages:
        assert isinstance(stage, DeployStage)
        stage.patch_embed = centre_conv(stage.patch_embed)
        stage.embed_norm = _centred_embed_norm(stage.embed_norm)  # type: ignore[assignment]
        for block in stage.blocks:
            _centre_block(block)  # type: ignore[arg-type]
        stage.norm = MapRms(stage.norm)  # type: ignore[assignment]
    stages.requires_grad_(False)
