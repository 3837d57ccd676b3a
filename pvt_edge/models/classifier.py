"""PVT-v2 classifier: the backbone's last map, averaged, and one linear layer."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pvt_edge.models.backbone import PVTv2, initialise
from pvt_edge.variants import Variant

if TYPE_CHECKING:
    from pvt_edge.checkpoints.sidecar import Sidecar


class Classifier(nn.Module):
    """Images (B, 3, H, W), RGB normalised -> logits (B, num_classes)."""

    weights_name: str | None = None  # what was loaded, for a bundle's provenance
    sidecar: "Sidecar | None" = None  # what lay beside what was loaded: preprocessing and labels

    def __init__(self, variant: Variant, num_classes: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.backbone = PVTv2(variant, drop_path)
        self.head = nn.Linear(variant.dims[-1], num_classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        last: Tensor = self.backbone(images)[-1]  # (B, C, H/32, W/32)
        logits: Tensor = self.head(last.mean(dim=(2, 3)))
        return logits
