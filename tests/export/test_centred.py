"""The form without means against the plain deploy form, in float64, and as a whole graph in float32."""

import copy

import pytest
import torch
from torch import nn

from pvt_edge.export.deploy.block import MapNorm
from pvt_edge.export.deploy.form import DeployBackbone, to_deploy_form
from pvt_edge.export.deploy.rewrites import MapRms, centre
from pvt_edge.export.graph import DeployGraph

from .made import build, build_around, noise, outputs, pictures

EXACT = 1e-9
TASKS = [("features", ""), ("classify", ""), ("detect", "retinanet"), ("detect", "lite")]


def centred(plain: nn.Module) -> nn.Module:
    """A copy of a deploy form with its backbone centred."""
    form = copy.deepcopy(plain)
    centre((form if isinstance(form, DeployBackbone) else form.backbone).stages)
    return form


@torch.inference_mode()
def gap(found: nn.Module, wanted: nn.Module, images: torch.Tensor) -> float:
    """max |difference| over all outputs, of which each holds something to differ in."""
    pairs = list(zip(outputs(found(images)), outputs(wanted(images)), strict=True))
    assert all(a.shape == b.shape and b.dtype == torch.float64 and b.std() > 0.05 for a, b in pairs)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("variant", ["b0", "b2", "b2-li"])
def test_every_task(variant):
    backbone = build("features", variant).double()
    for task, head in TASKS:
        plain = to_deploy_form(build_around(backbone, task, head=head), (64, 96))
        assert gap(centred(plain), plain, noise(2, 3, 64, 96)) < EXACT, (task, head)


@pytest.mark.parametrize("variant", ["b0", "b2-li"])
def test_no_norm_is_left_and_nothing_learns(variant):
    form = centred(to_deploy_form(build("features", variant), (64, 64)))
    kinds = [type(module) for module in form.modules()]
    assert MapNorm not in kinds
    assert nn.LayerNorm not in kinds
    blocks, reductions = (8, 6) if variant == "b0" else (16, 16)
    assert kinds.count(MapRms) == 4 + 2 * blocks + reductions + 4
    assert not any(parameter.requires_grad for parameter in form.parameters())


def test_epsilons_are_the_models_own():
    from pvt_edge.checkpoints.loading import set_epsilons

    model = build("features", "b0").double()
    set_epsilons(model, embed_eps=0.1, block_eps=0.02)
    plain = to_deploy_form(model, (64, 64))
    assert gap(centred(plain), plain, noise(1, 3, 64, 64)) < EXACT


@pytest.mark.parametrize(("affine", "shift"), [(False, 0.0), (True, 0.25)])
def test_rms_of_a_map_by_hand(affine, shift):
    norm = nn.LayerNorm(2, eps=0.75).double()
    norm.weight.data, norm.bias.data = torch.tensor([2.0, 4.0]).double(), torch.full((2,), shift).double()
    x = torch.tensor([[0.5, 1.5], [-0.5, -1.5]], dtype=torch.float64).view(1, 2, 1, 2)  # a pixel is (v, -v)
    found = MapRms(MapNorm(norm, (1, 2), affine))(x)
    # sqrt(0.25 + 0.75) = 1, sqrt(2.25 + 0.75) = sqrt(3)
    scaled = torch.tensor([[0.5, 1.5 / 3**0.5], [-0.5, -1.5 / 3**0.5]], dtype=torch.float64).view(1, 2, 1, 2)
    wanted = scaled * norm.weight.view(1, 2, 1, 1) + shift if affine else scaled
    assert (found - wanted).abs().max() < 1e-12


def test_the_whole_graph(classifier):
    (image,) = pictures(1, 64, 96)
    with torch.inference_mode():
        (plain,) = DeployGraph(classifier, (64, 96))(torch.from_numpy(image))
        (found,) = DeployGraph(classifier, (64, 96), target="openvino")(torch.from_numpy(image))
    assert plain.std() > 0.05
    assert (found - plain).abs().max() < 1e-5 * plain.abs().max()
