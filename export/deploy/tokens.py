"""Attention on tokens: a rewrite of the deploy form for TensorRT. Exact up to float rounding.

Where OpenVINO and ONNX Runtime like 1x1 convolutions on maps, TensorRT fuses linears on tokens with what stands
around them, K with V into one product, and LayerNorm whole; seen in the layers it builds.
"""

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.block import DeployAttention, to_map, to_tokens

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
