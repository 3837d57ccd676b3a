"""PVT v1 in deploy form: positions are constants of the image size, and of the last block only the class token is left.

What reads a stage's map takes it with its mean over channels, for no norm stands between: OpenVINO's rewrite without
means is therefore done to the norms of patch embeds and spatial reductions alone.
"""

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.block import DeployAttention, DeployBlock, MapNorm, PlainNorm, Reduction, to_map
from pvt_edge.export.deploy.folding import centre_conv
from pvt_edge.export.deploy.form import DeployBackbone, Target, deploys_backbone
from pvt_edge.export.deploy.rewrites import MapRms, attend_on_tokens
from pvt_edge.export.deploy.rows import compute_on_rows
from pvt_edge.models.pvt_v1 import PVTv1, Stage, resize_positions


class DeployStage(nn.Module):
    """Map (B, C', H', W') -> map (B, C, H, W)."""

    def __init__(self, stage: Stage, map_hw: tuple[int, int]) -> None:
        super().__init__()
        embed = stage.patch_embed
        self.patch_embed, self.embed_norm = embed.proj, MapNorm(embed.norm, map_hw, affine=True)
        self.register_buffer("positions", to_map(resize_positions(stage.pos_embed, *map_hw), map_hw))
        self.blocks = nn.Sequential(*(DeployBlock(block, map_hw) for block in stage.blocks))  # type: ignore[arg-type]

    def embed(self, x: Tensor) -> Tensor:
        """The map (B, C, H, W) with its positions."""
        positions: Tensor = self.positions  # type: ignore[assignment]
        return self.embed_norm(self.patch_embed(x)) + positions

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.embed(x))
        return out


class FirstToken(nn.Module):
    """The first row of a map (B, C, H, W), as (B, C, 1, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :1]


class TokenStage(DeployStage):
    """Map (B, C', H', W') -> the class token behind the last block (B, C, 1, 1).

    The tokens of its blocks are a map of one column, the class token first. The last block answers that token alone:
    keys and values are of all, queries, projection and MLP of one.
    """

    def __init__(self, stage: Stage, map_hw: tuple[int, int], token: Tensor) -> None:
        super().__init__(stage, map_hw)
        self.register_buffer("token", token.detach().reshape(1, -1, 1, 1).clone())
        column = (1 + map_hw[0] * map_hw[1], 1)
        blocks = [DeployBlock(block, column) for block in stage.blocks]  # type: ignore[arg-type]
        self.blocks = nn.Sequential(*blocks[:-1], LastBlock(blocks[-1]))

    def forward(self, x: Tensor) -> Tensor:
        token: Tensor = self.token  # type: ignore[assignment]
        x = self.embed(x).flatten(2).unsqueeze(3)  # (B, C, H*W, 1)
        x = torch.cat((token.expand(x.shape[0], -1, -1, -1), x), dim=2)
        out: Tensor = self.blocks(x)
        return out


class LastBlock(nn.Module):
    """A block of a column of tokens (B, C, N, 1) -> its first token (B, C, 1, 1)."""

    def __init__(self, block: DeployBlock) -> None:
        super().__init__()
        self.first = FirstToken()
        self.norm1, self.attn, self.norm2, self.mlp = None, block.attn, None, block.mlp
        if block.attn is not None:
            self.norm1 = block.norm1
            block.attn.pool, block.attn.map_hw = self.first, (1, 1)
        if block.mlp is not None:
            self.norm2 = block.norm2
            self.norm2.map_hw = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.first(x)
        if self.attn is not None and self.norm1 is not None:
            out = out + self.attn(self.norm1(x))
        if self.mlp is not None and self.norm2 is not None:
            out = out + self.mlp(self.norm2(out))
        return out


@deploys_backbone(PVTv1)
class DeployPVTv1(DeployBackbone):
    """As PVTv1, at one image size."""

    def __init__(self, backbone: PVTv1, imgsz: tuple[int, int], *, pooled: bool, plain_norm: bool) -> None:
        super().__init__()
        self.pooled = pooled
        stages: list[DeployStage] = []
        for i, stage in enumerate(backbone.stages):
            assert isinstance(stage, Stage)
            map_hw = (imgsz[0] >> (i + 2), imgsz[1] >> (i + 2))
            if pooled and i == len(backbone.stages) - 1:
                stages.append(TokenStage(stage, map_hw, backbone.cls_token + backbone.cls_pos))
            else:
                stages.append(DeployStage(stage, map_hw))
        self.stages = nn.ModuleList(stages)
        self.norm: nn.Module = nn.Identity()
        if pooled:
            self.norm = PlainNorm(backbone.norm) if plain_norm else backbone.norm

    def forward(self, images: Tensor) -> tuple[Tensor, ...] | Tensor:
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return self.norm(x.flatten(1)) if self.pooled else tuple(maps)

    def first_conv(self) -> tuple[nn.Module, str]:
        return self.stages[0], "patch_embed"

    def shape_for(self, target: Target, *, batch: int = 1) -> None:
        if target == "openvino":
            self._centre()
        elif target == "tensorrt":
            attend_on_tokens(self.stages, batch=batch)
        elif target == "onnxruntime-int8":
            compute_on_rows(self.stages)

    @torch.no_grad()
    def _centre(self) -> None:
        for stage in self.stages:
            assert isinstance(stage, DeployStage)
            stage.patch_embed = centre_conv(stage.patch_embed)
            stage.embed_norm = MapRms(stage.embed_norm)  # type: ignore[assignment]
            for block in stage.blocks:
                attn = block.attn
                reduction = attn.sr if isinstance(attn, DeployAttention) else None
                if isinstance(reduction, Reduction):
                    reduction.conv = centre_conv(reduction.conv)
                    reduction.norm = MapRms(reduction.norm)  # type: ignore[assignment]
        self.stages.requires_grad_(False)
