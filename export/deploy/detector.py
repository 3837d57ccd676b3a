"""The detector in deploy form: FPN with constant sizes, head without BatchNorm, candidates found with less work."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.export.deploy.folding import fold_batch_norm, fold_norm_into_conv
from pvt_edge.export.deploy.form import deploy_backbone, deploys
from pvt_edge.models import Detector
from pvt_edge.models.anchors import Decode, clip, decode
from pvt_edge.models.detector import FPN
from pvt_edge.models.retinanet import RetinaHead, TowerConv

WORTH_GROUPING = 8  # classes; below, one top-k over all pairs is as fast


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


class DeployDecode(nn.Module):
    """As `Decode`: equal candidates, though equal scores may change places.

    The best n pairs lie in the n anchors of the best maxima, so the wide top-k runs over anchors only; what is
    picked at every level is decoded together, once.
    """

    def __init__(self, plain: Decode) -> None:
        super().__init__()
        self.num_classes, self.pre_nms = plain.num_classes, plain.pre_nms
        levels = [getattr(plain, f"anchors{i}") for i in range(plain.levels)]
        self.starts = [sum(len(anchors) for anchors in levels[:i]) for i in range(len(levels))]
        self.register_buffer("anchors", torch.cat(levels))
        limit_xyxy: Tensor = plain.limit_xyxy  # type: ignore[assignment]
        self.register_buffer("limit_xyxy", limit_xyxy)

    def forward(self, logits: list[Tensor], deltas: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        anchors: Tensor = self.anchors  # type: ignore[assignment]
        limit_xyxy: Tensor = self.limit_xyxy  # type: ignore[assignment]
        picks = [self._pick(level.permute(0, 2, 3, 1)) for level in logits]
        best, label = torch.cat([p[0] for p in picks], 1), torch.cat([p[2] for p in picks], 1)
        anchor = torch.cat([p[1] + start for p, start in zip(picks, self.starts, strict=True)], 1)  # (B, N)
        candidates = torch.cat([d.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)) for d in deltas], 1)
        picked = candidates.gather(1, anchor.unsqueeze(-1).expand(-1, -1, 4))  # (B, N, 4)
        return clip(decode(picked, F.embedding(anchor, anchors)), limit_xyxy), best.sigmoid(), label

    def _pick(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best logits (B, n) of a level (B, H, W, A*K), the anchor of each within the level, and its class."""
        classes = self.num_classes
        per_anchor = logits.flatten(1).unflatten(1, (-1, classes))  # (B, H*W*A, K)
        kept = min(self.pre_nms, per_anchor.shape[1] * classes)
        if classes < WORTH_GROUPING or per_anchor.shape[1] <= kept:
            best, pair = per_anchor.flatten(1).topk(kept)
            anchor = pair // classes
            return best, anchor, pair - anchor * classes
        group = per_anchor.amax(2).topk(kept).indices  # (B, n)
        best, pair = per_anchor.gather(1, group.unsqueeze(-1).expand(-1, -1, classes)).flatten(1).topk(kept)
        row = pair // classes
        return best, group.gather(1, row), pair - row * classes
