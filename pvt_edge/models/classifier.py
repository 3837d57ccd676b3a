"""Classifier: what the backbone pools of a picture, and one linear layer."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from pvt_edge.models.model import Backbone, Model, initialise_layers


class Classifier(Model):
    """Images (B, 3, H, W), RGB normalised -> logits (B, num_classes)."""

    task = "classify"
    default_classes = 1000  # ImageNet-1k
    class_layer = "head"
    is_pretraining = True
    kinds: ClassVar = {"class layer": "head"}

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        backbone.add_pooling()
        self.backbone = backbone
        self.head = nn.Linear(backbone.variant.dims[-1], num_classes)
        backbone.initialise()
        initialise_layers(self.head)

    @classmethod
    def build(cls, backbone: Backbone, num_classes: int, head: Any) -> "Classifier":
        return cls(backbone, num_classes)

    @classmethod
    def owns(cls, name: str) -> bool:
        return name in ("head.weight", "head.bias")

    @classmethod
    def count_classes(cls, tensors: Mapping[str, Tensor]) -> int | None:
        layer = tensors.get("head.weight")
        return None if layer is None else layer.shape[0] if layer.ndim else 0

    def last_norm(self) -> tuple[nn.LayerNorm, nn.Module] | None:
        norm = self.backbone.final_norm(pooled=True)
        return None if norm is None else (norm, self.head)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone.pool(images))
        return logits
