"""The segmenter in deploy form: convolutions without BatchNorm, pyramid pooling by constant matrices."""

from typing import cast

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.folding import fold_batch_norm, fold_norm_into_conv
from pvt_edge.export.deploy.form import deploy_backbone, deploys
from pvt_edge.export.deploy.pooling import pooling_matrix
from pvt_edge.models import Segmenter
from pvt_edge.models.segment_heads import PPM_SIDES, ConvNorm, LinearHead, UPerNet, resize_to


class ConvRelu(nn.Module):
    """As ConvNorm, its BatchNorm in the convolution."""

    def __init__(self, trained: ConvNorm) -> None:
        super().__init__()
        self.conv = fold_batch_norm(trained.conv, trained.norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).relu()


class PoolPyramid(nn.Module):
    """Map (B, C, H, W) -> its means over 1, 2, 3 and 6 bins a side, (B, C, k, k), exact where these do not divide it.

    Two products of constant matrices each: runtimes lack pools whose bins overlap, or take other bins for them.
    """

    def __init__(self, map_hw: tuple[int, int], like: Tensor) -> None:
        super().__init__()
        for side in PPM_SIDES[1:]:
            self.register_buffer(f"rows{side}", pooling_matrix(map_hw[0], side).to(like))  # (k, H)
            self.register_buffer(f"columns{side}", pooling_matrix(map_hw[1], side).T.contiguous().to(like))  # (W, k)

    def forward(self, x: Tensor) -> list[Tensor]:
        pooled = [x.mean(dim=(2, 3), keepdim=True)]
        for side in PPM_SIDES[1:]:
            rows, columns = (cast("Tensor", getattr(self, f"{name}{side}")) for name in ("rows", "columns"))
            pooled.append(rows @ (x @ columns))
        return pooled


class DeployUPerNet(UPerNet):
    """As UPerNet, made of a copy whose convolutions are folded already."""

    def __init__(self, head: UPerNet, map_hw: tuple[int, int]) -> None:
        nn.Module.__init__(self)
        for name, module in head.named_children():
            setattr(self, name, module)
        self.pyramid = PoolPyramid(map_hw, head.classes.weight)

    def pool(self, last: Tensor) -> list[Tensor]:
        pooled: list[Tensor] = self.pyramid(last)
        return pooled

    def spread(self, pooled: Tensor, last: Tensor) -> Tensor:
        size = (last.shape[2], last.shape[3])
        if pooled.shape[2:] == (1, 1):  # one value: runtimes differ on how to interpolate it
            return pooled.expand(-1, -1, *size)
        return resize_to(pooled, size)


@deploys(Segmenter)
class DeploySegmenter(nn.Module):
    """As Segmenter. The last LayerNorm is folded into the head where only a 1x1 convolution reads that map.

    UPerNet's bottleneck reads it too, through zero padding, and there the LayerNorm stays whole.
    """

    def __init__(self, model: Segmenter, imgsz: tuple[int, int]) -> None:
        super().__init__()
        head = model.head
        norm = None if isinstance(head, UPerNet) else model.backbone.final_norm()
        self.backbone = deploy_backbone(model.backbone, imgsz, plain_norm=norm is not None)
        _fold_batch_norms(head)
        head.drop = nn.Identity()  # type: ignore[assignment]
        if isinstance(head, UPerNet):
            head = DeployUPerNet(head, (imgsz[0] // 32, imgsz[1] // 32))
        elif norm is not None:
            _fold_last_norm(head, norm)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits


@torch.no_grad()
def _fold_batch_norms(module: nn.Module) -> None:
    """Put every BatchNorm of a head, in place, into the convolution before it."""
    for name, child in module.named_children():
        if isinstance(child, ConvNorm):
            setattr(module, name, ConvRelu(child))
        else:
            _fold_batch_norms(child)


@torch.no_grad()
def _fold_last_norm(head: nn.Module, norm: nn.LayerNorm) -> None:
    """Let the one 1x1 convolution that reads the last map take over the affine part of its LayerNorm, in place."""
    if isinstance(head, LinearHead):
        head.classes = fold_norm_into_conv(norm, head.classes)
        return
    lateral = cast("nn.ModuleList", head.lateral)
    last = lateral[-1]
    if isinstance(last, ConvRelu):
        last.conv = fold_norm_into_conv(norm, last.conv)
    else:
        lateral[-1] = fold_norm_into_conv(norm, cast("nn.Conv2d", last))
