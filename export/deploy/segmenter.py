"""The segmenter in deploy form: no BatchNorm, pooling by constant matrices; and its decoder for OpenVINO."""

from typing import cast

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.folding import fold_batch_norm, fold_norm_into_conv
from pvt_edge.export.deploy.form import deploy_backbone, deploys
from pvt_edge.export.deploy.pooling import pooling_matrix
from pvt_edge.models import Segmenter
from pvt_edge.models.segment_heads import PPM_SIDES, ConvNorm, LinearHead, UPerNet, resize_to
from pvt_edge.models.segmenter import LogitDecode

FEW = 8  # classes that are compared one by one; of more the largest is looked for among all


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


class PhaseDecode(LogitDecode):
    """As `LogitDecode`, but for the rounding of the logits; of equal ones the lowest id is taken.

    A logit grows to 4x4 pixels, and what lies at one place of these is a mixture of neighbouring logits with the same
    weights everywhere. So each of the 16 places is computed for all logits at once, at a quarter of both sides, where
    it stays in the caches; only the ids are brought into their places. OpenVINO also takes long for ArgMax in float32,
    and runs resizes and matrix products in bf16 where it may, which rounds the class at borders; this is neither.
    """

    def forward(self, logits: Tensor) -> tuple[Tensor, ...]:
        columns = [
            torch.stack([self.class_map(mixed) for mixed in _phases(column, 2)], dim=2) for column in _phases(logits, 3)
        ]  # 4 of (B, h, 4, w)
        mask = torch.stack(columns, dim=4).flatten(3, 4).flatten(1, 2)
        return (mask, logits) if self.keep_logits else (mask,)

    def class_map(self, grown: Tensor) -> Tensor:
        if self.num_classes == 1:
            return super().class_map(grown)
        return self.to_ids(_first_of_few(grown) if self.num_classes <= FEW else _first_of_many(grown))


def _phases(x: Tensor, dim: int) -> list[Tensor]:
    """The values 3/8 and 1/8 before each of `x`, and 1/8 and 3/8 behind it, along `dim`; beyond its ends they stay."""
    length = x.shape[dim]
    before = torch.cat((x.narrow(dim, 0, 1), x.narrow(dim, 0, length - 1)), dim)
    behind = torch.cat((x.narrow(dim, 1, length - 1), x.narrow(dim, length - 1, 1)), dim)
    return [
        0.375 * before + 0.625 * x,
        0.125 * before + 0.875 * x,
        0.875 * x + 0.125 * behind,
        0.625 * x + 0.375 * behind,
    ]


def _first_of_few(x: Tensor) -> Tensor:
    """The place (B, h, w) of the largest of (B, K, h, w), the first of equal ones, as floats."""
    best, ids = x[:, 0], torch.zeros_like(x[:, 0])
    for number in range(1, x.shape[1]):
        other = x[:, number]
        ids = torch.where(other > best, float(number), ids)
        best = torch.maximum(best, other)
    return ids


def _first_of_many(x: Tensor) -> Tensor:
    """The same, in three steps whatever K is."""
    numbers = torch.arange(x.shape[1], dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
    return torch.where(x == x.amax(dim=1, keepdim=True), numbers, float(x.shape[1])).amin(dim=1)
