"""What a backbone in deploy form can do beside computing maps: take camera pixels, and be shaped for a compiler."""

from typing import Any, Literal

from torch import Tensor, nn

from pvt_edge.export.deploy.folding import fold_input
from pvt_edge.models import Backbone, Model

Target = Literal["onnxruntime", "onnxruntime-int8", "openvino", "tensorrt"]  # whose compiler the graph is shaped for


class DeployBackbone(nn.Module):
    """Images (B, 3, H, W) of one size -> four maps, or what a classifier reads (B, C)."""

    def first_conv(self) -> tuple[nn.Module, str] | None:
        """(module, attribute) of the convolution that reads the pixels; None where none alone does."""
        return None

    def fold_input(self, std: Tensor, channel_order: str) -> bool:
        """Put the division by `std` (3,) and the order of channels into the first convolution, where there is one.

        Returns whether it was done; else the graph must do it.
        """
        place = self.first_conv()
        if place is None:
            return False
        module, name = place
        setattr(module, name, fold_input(getattr(module, name), std, channel_order))
        return True

    def shape_for(self, target: Target, *, batch: int = 1) -> None:
        """Rewrite it in place to the form that `target` fuses best; `batch` is the smallest it will run at."""


class PlainBackbone(DeployBackbone):
    """A backbone of a family without a rewrite of its own, as it was trained."""

    def __init__(self, backbone: Backbone, imgsz: tuple[int, int], *, pooled: bool, plain_norm: bool) -> None:
        super().__init__()
        assert not plain_norm or backbone.final_norm(pooled=pooled) is None, "this form keeps its norm whole"
        self.trained, self.pooled = backbone, pooled

    def forward(self, images: Tensor) -> tuple[Tensor, ...] | Tensor:
        return self.trained.pool(images) if self.pooled else tuple(self.trained(images))


class PlainModel(nn.Module):
    """A model of a task without a rewrite of its own, as it was trained."""

    def __init__(self, model: Model, imgsz: tuple[int, int]) -> None:
        super().__init__()
        self.trained, self.backbone = model, DeployBackbone()

    def forward(self, images: Tensor) -> Any:
        return self.trained(images)
