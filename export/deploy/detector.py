"""The detector in deploy form: FPN with constant sizes, head without BatchNorm."""

import torch
from torch import Tensor, nn

from pvt_edge.export.deploy.folding import fold_batch_norm, fold_norm_into_conv
from pvt_edge.export.deploy.form import deploy_backbone, deploys
from pvt_edge.models import Detector
from pvt_edge.models.fpn import FPN
from pvt_edge.models.retinanet import RetinaHead, TowerConv


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


@deploys(Detector)
class DeployDetector(nn.Module):
    """As Detector. The last LayerNorm is folded into the FPN where only its 1x1 convolution reads that map.

    With extra levels P6 reads it too, through zero padding, and the LayerNorm stays whole.
    """

    def __init__(self, model: Detector, imgsz: tuple[int, int]) -> None:
        super().__init__()
        norm = model.backbone.final_norm() if len(model.neck.output) == len(model.neck.lateral) else None
        self.backbone = deploy_backbone(model.backbone, imgsz, plain_norm=norm is not None)
        lateral = model.neck.lateral[-1]
        assert isinstance(lateral, nn.Conv2d)
        self.neck = DeployFPN(model.neck, None if norm is None else fold_norm_into_conv(norm, lateral))
        self.head = DeployHead(model.head, model.config.levels)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = self.head(self.neck(self.backbone(images)))
        return logits, deltas
