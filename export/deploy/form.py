"""to_deploy_form: the inference-only rewrite of a trained model, exact up to float rounding."""

import copy
from typing import NoReturn

import torch
from torch import Tensor, nn

from pvt_edge.arguments import check_size, refuse_unknown
from pvt_edge.errors import ImageSizeError
from pvt_edge.export.deploy.block import DeployBlock, MapNorm
from pvt_edge.export.deploy.folding import fold_batch_norm, fold_norm_into_conv, fold_norm_into_linear
from pvt_edge.models.backbone import PatchEmbed, PVTv2, Stage
from pvt_edge.models.classifier import Classifier
from pvt_edge.models.create import check_model
from pvt_edge.models.detector import Detector
from pvt_edge.models.fpn import FPN
from pvt_edge.models.retinanet import RetinaHead, TowerConv

SIZE_STEP = 32  # the coarsest map's stride; sizes between lose rows to the spatial reduction


def check_imgsz(imgsz: tuple[int, int]) -> None:
    """Raise `ImageSizeError` unless height and width are positive multiples of 32; the message names the nearest."""
    if any(side < SIZE_STEP or side % SIZE_STEP for side in imgsz):
        near = tuple(max(SIZE_STEP, round(side / SIZE_STEP) * SIZE_STEP) for side in imgsz)
        raise ImageSizeError(
            f"image size {imgsz[0]},{imgsz[1]} (height,width) is not a multiple of {SIZE_STEP} on both sides: "
            f"the nearest is {near[0]},{near[1]}"
        )


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


class DeployBackbone(nn.Module):
    """As PVTv2, at one image size; the last map lacks its affine part when `plain_last_norm`."""

    def __init__(self, backbone: PVTv2, imgsz: tuple[int, int], plain_last_norm: bool) -> None:
        super().__init__()
        stages = []
        for i, stage in enumerate(backbone.stages):
            assert isinstance(stage, Stage)
            map_hw = (imgsz[0] >> (i + 2), imgsz[1] >> (i + 2))
            stages.append(DeployStage(stage, map_hw, plain_last_norm and i == len(backbone.stages) - 1))
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


class DeployClassifier(nn.Module):
    """As Classifier; the last LayerNorm's affine part lives in the head (a mean commutes with it)."""

    def __init__(self, model: Classifier, imgsz: tuple[int, int]) -> None:
        super().__init__()
        self.backbone = DeployBackbone(model.backbone, imgsz, plain_last_norm=True)
        last_stage = model.backbone.stages[-1]
        assert isinstance(last_stage, Stage)
        self.head = fold_norm_into_linear(last_stage.norm, model.head)

    def forward(self, images: Tensor) -> Tensor:
        last: Tensor = self.backbone(images)[-1]
        logits: Tensor = self.head(last.flatten(2).mean(dim=2))
        return logits


class DeployFPN(nn.Module):
    """As FPN, with the top-down additions at constant sizes."""

    def __init__(self, neck: FPN, lateral_last: nn.Conv2d | None) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(neck.lateral)
        if lateral_last is not None:
            self.lateral[-1] = lateral_last
        self.output = neck.output

    forward = FPN.forward


class DeployHead(nn.Module):
    """As RetinaHead, each level with convolutions of its own where BatchNorms were folded into them."""

    def __init__(self, head: RetinaHead, levels: int) -> None:
        super().__init__()

        def towers(convs: nn.ModuleList) -> nn.ModuleList:
            return nn.ModuleList(nn.ModuleList(_folded(conv, level) for conv in convs) for level in range(levels))

        self.cls, self.reg = towers(head.cls), towers(head.reg)
        self.cls_out, self.reg_out = head.cls_out, head.reg_out

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = [], []
        for x, cls_convs, reg_convs in zip(maps, self.cls, self.reg, strict=True):
            cls = reg = x
            for conv in cls_convs:  # type: ignore[attr-defined]
                cls = torch.relu(conv(cls))
            for conv in reg_convs:  # type: ignore[attr-defined]
                reg = torch.relu(conv(reg))
            logits.append(self.cls_out(cls))
            deltas.append(self.reg_out(reg))
        return logits, deltas


def _folded(tower_conv: nn.Module, level: int) -> nn.Conv2d:
    assert isinstance(tower_conv, TowerConv)
    if tower_conv.norms is None:
        return tower_conv.conv
    norm = tower_conv.norms[level]
    assert isinstance(norm, nn.BatchNorm2d)
    return fold_batch_norm(tower_conv.conv, norm)


class DeployDetector(nn.Module):
    """As Detector. The last LayerNorm is folded into the FPN where only its 1x1 convolution reads that map.

    With extra levels P6 reads it too, through zero padding, and the LayerNorm stays whole.
    """

    def __init__(self, model: Detector, imgsz: tuple[int, int]) -> None:
        super().__init__()
        foldable = len(model.neck.output) == len(model.neck.lateral)
        self.backbone = DeployBackbone(model.backbone, imgsz, plain_last_norm=foldable)
        last_stage, last_lateral = model.backbone.stages[-1], model.neck.lateral[-1]
        assert isinstance(last_stage, Stage) and isinstance(last_lateral, nn.Conv2d)
        self.neck = DeployFPN(model.neck, fold_norm_into_conv(last_stage.norm, last_lateral) if foldable else None)
        self.head = DeployHead(model.head, model.config.levels)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = self.head(self.neck(self.backbone(images)))
        return logits, deltas


@torch.no_grad()
def to_deploy_form(model: nn.Module, imgsz: int | tuple[int, int], **unknown: NoReturn) -> nn.Module:
    """The deploy form of `model` (classify, features or detect) at `imgsz` (height, width), in eval mode.

    Same inputs and outputs as `model`, which is left as it was; max |difference| is float rounding (under 1e-9 in
    float64). Raises `ImageSizeError` for sizes that are not multiples of 32, `ArgumentError` for another model.
    """
    refuse_unknown(to_deploy_form, unknown)
    check_model("to_deploy_form()", model)
    imgsz = check_size("to_deploy_form()", imgsz)
    check_imgsz(imgsz)
    model = copy.deepcopy(model).eval()
    if isinstance(model, Classifier):
        deploy: nn.Module = DeployClassifier(model, imgsz)
    elif isinstance(model, Detector):
        deploy = DeployDetector(model, imgsz)
    else:
        assert isinstance(model, PVTv2)
        deploy = DeployBackbone(model, imgsz, plain_last_norm=False)
    return deploy.eval().requires_grad_(False)
