"""PVT-v2 detector: backbone, FPN and RetinaNet head."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pvt_edge.models.backbone import PVTv2, initialise
from pvt_edge.models.fpn import FPN
from pvt_edge.models.retinanet import HeadConfig, RetinaHead
from pvt_edge.variants import Variant

if TYPE_CHECKING:
    from pvt_edge.checkpoints.sidecar import Sidecar


class Detector(nn.Module):
    """Images (B, 3, H, W), RGB normalised -> (class logits, box deltas), each a list over levels.

    Level l: logits (B, A*K, H_l, W_l) and deltas (B, A*4, H_l, W_l), mmdet's order (FPN strides 8 upwards).
    """

    weights_name: str | None = None  # what was loaded, for a bundle's provenance
    sidecar: "Sidecar | None" = None  # what lay beside what was loaded: preprocessing and labels
    thresholds: Mapping[str, Any] | None = None  # what was loaded was evaluated with: fields of PostprocessSpec

    def __init__(self, variant: Variant, num_classes: int, head: HeadConfig, drop_path: float = 0.0) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.config = head
        self.backbone = PVTv2(variant, drop_path)
        self.neck = FPN(variant.dims, head.width, head.levels)
        self.head = RetinaHead(head, num_classes)
        initialise(self)
        self.head.initialise()

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = self.head(self.neck(self.backbone(images)))
        return logits, deltas
