"""PVT-v1 backbone, training form (arXiv 2102.12122).

Shapes: B batch, C channels of the stage, H x W its map, N = H*W tokens. What it shares with v2 is v2's: blocks, with
their attention and its spatial reduction. Other than there, patches do not overlap, positions are learned, MLPs have no
convolution, maps leave a stage without a norm, and a classifier reads a token of its own that joins in stage 4.
"""

from collections.abc import Iterator
from math import isqrt
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.models.model import Backbone
from pvt_edge.models.pvt_v2 import BLOCK_EPS, Block, PatchEmbed, embed_norms, stage_blocks
from pvt_edge.variants import Variant

TRAINED_AT = 224  # the side of the pictures that the position tables are for


def resize_positions(table: Tensor, h: int, w: int) -> Tensor:
    """The positions (1, H*W, C) of a map of h x w from a square table (1, G*G, C), as mmdet does it at every size.

    The official code leaves the table as it is wherever H*W is 56*56, whatever the stage: at 448x448 that fails, and
    at 112x448 it adds positions of other places.
    """
    side = isqrt(table.shape[1])
    grid = table.transpose(1, 2).unflatten(2, (side, side))  # (1, C, G, G)
    return F.interpolate(grid, size=(h, w), mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)


class Stage(nn.Module):
    """Patch embed, positions, blocks; the map it returns is not normalised."""

    def __init__(self, patch_embed: PatchEmbed, blocks: list[Block], side: int, dim: int) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side, dim))
        self.blocks = nn.ModuleList(blocks)

    def embed(self, x: Tensor) -> tuple[Tensor, int, int]:
        """Tokens (B, N, C) with their positions, and the map they make: height, width."""
        x, h, w = self.patch_embed(x)
        return x + resize_positions(self.pos_embed, h, w), h, w

    def forward(self, x: Tensor) -> Tensor:
        x, h, w = self.embed(x)
        for block in self.blocks:
            x = block(x, h, w)
        return x.transpose(1, 2).unflatten(2, (h, w))  # (B, C, H, W)


class PVTv1(Backbone):
    """Images (B, 3, H, W), RGB normalised -> four maps (B, C_i, H/2^(i+2), W/2^(i+2)), i = 0..3.

    For classifiers (`add_pooling`) a class token joins in stage 4, whose map is then another than that of dense models.
    """

    pooling: ClassVar = ("cls_token", "cls_pos", "norm.weight", "norm.bias")

    def __init__(self, variant: Variant, drop_path: float = 0.0) -> None:
        super().__init__()
        self.variant = variant
        stages, in_dim = [], 3
        for i, (dim, blocks) in enumerate(
            zip(variant.dims, stage_blocks(variant, drop_path, convolve=False), strict=True)
        ):
            embed = PatchEmbed(in_dim, dim, stride=4 if i == 0 else 2, overlap=False)
            stages.append(Stage(embed, blocks, TRAINED_AT >> (i + 2), dim))
            in_dim = dim
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)

    def pool(self, images: Tensor) -> Tensor:
        x = images
        for stage in self.stages[:-1]:
            x = stage(x)
        last = self.stages[-1]
        assert isinstance(last, Stage)
        x, h, w = last.embed(x)
        token = (self.cls_token + self.cls_pos).expand(len(x), -1, -1)
        x = torch.cat((token, x), dim=1)  # (B, 1 + N, C)
        for block in last.blocks:
            x = block(x, h, w)
        return self.norm(x[:, 0])  # (B, C)

    def add_pooling(self) -> None:
        dim = self.variant.dims[-1]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.cls_pos = nn.Parameter(torch.zeros(1, 1, dim))  # its place in the table, which no resize touches
        self.norm = nn.LayerNorm(dim, eps=BLOCK_EPS)

    def final_norm(self, *, pooled: bool = False) -> nn.LayerNorm | None:
        return self.norm if pooled else None

    def embed_norms(self) -> Iterator[nn.LayerNorm]:
        return embed_norms(self)

    def block_norms(self) -> Iterator[nn.LayerNorm]:
        for module in self.modules():
            if isinstance(module, Block):
                yield from (module.norm1, module.norm2)
        if hasattr(self, "norm"):
            yield self.norm

    def initialise(self) -> None:
        """As the official code does: normal linears, positions and class token; convolutions as torch has them."""
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)
        for name, parameter in self.named_parameters():
            if name.endswith(("pos_embed", "cls_token", "cls_pos")):
                nn.init.normal_(parameter, std=0.02)
