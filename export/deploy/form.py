"""to_deploy_form: the inference-only rewrite of a trained model, exact up to float rounding.

The rewrite of a model or backbone is found by its class: `deploys` and `deploys_backbone` put it into the table. What
all backbones in deploy form can do is in `DeployBackbone`.
"""

import copy
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from pvt_edge.arguments import check_size, known_keywords
from pvt_edge.errors import ImageSizeError
from pvt_edge.export.deploy.folding import fold_input
from pvt_edge.models import Backbone, Model, check_model

Target = Literal["onnxruntime", "onnxruntime-int8", "openvino", "tensorrt"]  # whose compiler the graph is shaped for
SIZE_STEP = 32  # the coarsest map's stride; sizes between lose rows to the spatial reduction
Form = Callable[..., nn.Module]
FORMS: dict[type[Model], Form] = {}
BACKBONE_FORMS: dict[type[Backbone], "Callable[..., DeployBackbone]"] = {}
F = TypeVar("F", bound=Callable[..., nn.Module])


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


def deploys(model: type[Model]) -> Callable[[F], F]:
    """Decorates what makes the deploy form of a `model` at (height, width): its attribute `backbone` is one too."""

    def add(form: F) -> F:
        FORMS[model] = form
        return form

    return add


def deploys_backbone(backbone: type[Backbone]) -> Callable[[F], F]:
    """Decorates what makes the `DeployBackbone` of a family: (backbone, (height, width), its uses)."""

    def add(form: F) -> F:
        BACKBONE_FORMS[backbone] = form  # type: ignore[assignment]
        return form

    return add


def deploy_backbone(
    backbone: Backbone, imgsz: tuple[int, int], *, pooled: bool = False, plain_norm: bool = False
) -> DeployBackbone:
    """The deploy form of a backbone.

    Args:
        backbone: In eval mode.
        imgsz: (height, width).
        pooled: Whether what a classifier reads is wanted, and no map.
        plain_norm: Leave the affine part of `Backbone.final_norm` to what reads it.
    """
    form = BACKBONE_FORMS.get(type(backbone), PlainBackbone)
    return form(backbone, imgsz, pooled=pooled, plain_norm=plain_norm)


def check_imgsz(imgsz: tuple[int, int]) -> None:
    """Raise `ImageSizeError` unless height and width are positive multiples of 32; the message names the nearest."""
    if any(side < SIZE_STEP or side % SIZE_STEP for side in imgsz):
        near = tuple(max(SIZE_STEP, round(side / SIZE_STEP) * SIZE_STEP) for side in imgsz)
        raise ImageSizeError(
            f"image size {imgsz[0]},{imgsz[1]} (height,width) is not a multiple of {SIZE_STEP} on both sides: "
            f"the nearest is {near[0]},{near[1]}"
        )


@known_keywords
@torch.no_grad()
def to_deploy_form(model: nn.Module, imgsz: int | tuple[int, int]) -> nn.Module:
    """The deploy form of `model` at `imgsz` (height, width), in eval mode.

    Same inputs and outputs as `model`, which is left as it was; max |difference| is float rounding (under 1e-9 in
    float64).

    Args:
        model: Of any task, from `create_model`.
        imgsz: One side or (height, width), multiples of 32.

    Returns:
        A module of its own, which takes normalised RGB (B, 3, height, width) as `model` does.

    Raises:
        ImageSizeError: For sizes that are not multiples of 32.
        ArgumentError: For another model.
    """
    check_model("to_deploy_form()", model)
    assert isinstance(model, Model)
    imgsz = check_size("to_deploy_form()", imgsz)
    check_imgsz(imgsz)
    model = copy.deepcopy(model).eval()
    if isinstance(model, Backbone):
        deploy: nn.Module = deploy_backbone(model, imgsz)
    else:
        deploy = FORMS.get(type(model), PlainModel)(model, imgsz)
    return deploy.eval().requires_grad_(False)
