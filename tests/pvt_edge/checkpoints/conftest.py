"""Models for the checkpoint tests: blank ones, made without initialising, and ones with weights that show."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pvt_edge.models import Classifier, Detector, build_model
from pvt_edge.variants import get_variant


class _ParametersOnMeta(TorchFunctionMode):
    """Allocates parameters without data, for initialising b5 takes ten seconds that no test here needs."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs = {**(kwargs or {}), "device": "meta"}
        return func(*args, **(kwargs or {}))


def _build(task: str, variant: str, num_classes: int = 7, head: str = "retinanet") -> nn.Module:
    """A model whose weights are zeros."""
    with _ParametersOnMeta():
        model = build_model(get_variant(variant), task, num_classes, head)
    model.to_empty(device="cpu").eval()
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model


def _fill(model: nn.Module, seed: int = 0) -> nn.Module:
    """`model` with every tensor random, LayerNorm's too, at a scale at which outputs stay near one.

    Patch embeds and spatial reductions give small values, so that LayerNorm's epsilon shows in the outputs.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            tensor.uniform_(-1, 1, generator=generator)
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                tensor.mul_(0.3).add_(1)  # norms
            elif tensor.ndim == 1:
                tensor.mul_(0.05)
            else:
                tensor.mul_((3 / tensor[0].numel()) ** 0.5)
            if ("patch_embed" in name and "norm" not in name) or ".sr." in name or "spatial_reduction" in name:
                tensor.mul_(0.003)
    return model


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads that wait for each other take most of the time of small tensors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def build():
    """The function (task, variant, num_classes=7, head="retinanet") -> blank model."""
    return _build


@pytest.fixture(scope="session")
def fill():
    """The function (model, seed=0) -> that model with random weights."""
    return _fill


@pytest.fixture(scope="session")
def b0() -> Classifier:
    """A classifier of 7 classes with random weights: copy it, do not change it."""
    return _fill(_build("classify", "b0"))


@pytest.fixture(scope="session")
def b0_detector() -> Detector:
    """A RetinaNet of 7 classes with random weights: copy it, do not change it."""
    return _fill(_build("detect", "b0"))
