"""LayerNorm without its mean: a rewrite of the deploy form for runtimes that run RMS norms faster (OpenVINO).

All that reads the residual stream is LayerNorm, which ignores the mean over channels; so whatever writes to the
stream may leave its mean out, by centred weights, and LayerNorm becomes a division by the root mean square. Exact up
to float rounding. On the CPUs measured, OpenVINO's RMS takes half the time of its MVN.
"""

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.block import (
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
