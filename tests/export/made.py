"""Models whose every tensor is random, so that a tensor lost or misplaced shows, and drawn pictures."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pvt_edge.models import Backbone, build_model
from pvt_edge.scenes import draw_scene
from pvt_edge.variants import Variant, get_variant


class _OnMeta(TorchFunctionMode):
    """Allocates parameters without data, for initialising b5 takes ten seconds that no test here needs."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs = {**(kwargs or {}), "device": "meta"}
        return func(*args, **(kwargs or {}))


def build(task: str, variant: str | Variant, classes: int = 3, head: str = "lite") -> nn.Module:
    """A float32 model in eval mode, random in every tensor."""
    return _filled(_blank(task, variant, classes, head).to_empty(device="cpu"))


def build_around(backbone: Backbone, task: str, classes: int = 3, head: str = "lite") -> nn.Module:
    """A model in float64 of that float64 backbone, which models may share."""
    if task == "features":
        return backbone
    if task == "classify" and backbone.pooling:  # which a dense backbone lacks
        return build(task, backbone.variant, classes).double()
    model = _blank(task, backbone.variant, classes, head)
    model.backbone = nn.Identity()
    model = _filled(model.to_empty(device="cpu")).double()
    model.backbone = backbone
    return model


def _blank(task: str, variant: str | Variant, classes: int, head: str) -> nn.Module:
    row = get_variant(variant) if isinstance(variant, str) else variant
    with _OnMeta():
        return build_model(row, task, classes, head)


def _filled(model: nn.Module) -> nn.Module:
    return randomise(model).eval()


@torch.no_grad()
def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """`module` with every tensor random, norms' too, at a scale at which outputs stay near one."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            tensor.zero_()
            continue
        tensor.uniform_(-1, 1, generator=generator)
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.mul_(0.3).add_(1)  # norms
        elif tensor.ndim == 1:
            tensor.mul_(0.3)
        else:
            tensor.mul_((3 / tensor[0].numel()) ** 0.5)
    return module


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Normally distributed values in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(count: int, height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """`count` drawn scenes as inputs (1, height, width, 3) uint8 BGR."""
    return [draw_scene(seed + i, height, width).image[None] for i in range(count)]


def outputs(result: object) -> list[Tensor]:
    """What a model returns, flat: a tensor, a tuple of tensors or two lists of them."""
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result for tensor in outputs(part)]


def reference_outputs(graph, inputs):
    """What a deploy graph gives for each input (1, H, W, 3) uint8, in float32 torch, by output name."""
    with torch.inference_mode():
        outputs = [graph(torch.from_numpy(image)) for image in inputs]
    return [{name: value.numpy() for name, value in zip(graph.output_names, row, strict=True)} for row in outputs]
