"""The deploy form against the training form, in float64: block by block, then whole models at many sizes."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F

from pvt_edge.errors import ImageSizeError, PvtEdgeError
from pvt_edge.export.deploy.block import DeployAttention, DeployBlock, DeployMlp, MapNorm
from pvt_edge.export.deploy.form import check_imgsz, to_deploy_form
from pvt_edge.models.pvt_v2 import Block
from pvt_edge.variants import VARIANTS, get_variant
from pvt_edge.zoo import create_model

from .made import build, build_around, noise, outputs, randomise

EXACT = 1e-9
BLOCKS = {  # dim, heads, MLP ratio, sr_ratio, linear
    "stage 1": (32, 1, 8, 8, False),
    "stage 2": (64, 2, 8, 4, False),
    "stage 3": (160, 5, 4, 2, False),
    "stage 4": (64, 8, 4, 1, False),
    "stage 1, linear": (64, 1, 8, 8, True),
    "stage 4, linear": (64, 8, 4, 1, True),
}
MAPS = [(8, 8), (16, 24), (24, 8)]


def make_block(kind: str) -> Block:
    return randomise(Block(*BLOCKS[kind], drop_path=0.1).double()).eval()


def plain(x: torch.Tensor, norm: torch.nn.LayerNorm) -> torch.Tensor:
    return F.layer_norm(x, norm.normalized_shape, eps=norm.eps)


def on_tokens(module: torch.nn.Module, tokens: torch.Tensor, map_hw: tuple[int, int]) -> torch.Tensor:
    """What a module of maps (B, C, H, W) gives for tokens (B, H*W, C), as tokens."""
    found = module(tokens.transpose(1, 2).unflatten(2, map_hw))
    assert found.shape[2:] == map_hw
    return found.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("map_hw", MAPS)
@torch.inference_mode()
def test_parts_of_a_block(kind, map_hw):
    block, (h, w) = make_block(kind), map_hw
    x = noise(2, h * w, BLOCKS[kind][0])
    parts = {
        "attn": (
            DeployAttention(block.norm1, block.attn, map_hw),
            plain(x, block.norm1),
            block.attn(block.norm1(x), h, w),
        ),
        "mlp": (DeployMlp(block.norm2, block.mlp, map_hw), plain(x, block.norm2), block.mlp(block.norm2(x), h, w)),
        "whole": (DeployBlock(block, map_hw), x, block(x, h, w)),
    }
    for name, (deploy, tokens, wanted) in parts.items():
        assert wanted.std() > 0.1, name  # something there to differ
        assert (on_tokens(deploy, tokens, map_hw) - wanted).abs().max() < EXACT, name


@pytest.mark.parametrize("map_hw", MAPS)
@pytest.mark.parametrize("affine", [False, True])
def test_norm_of_a_map(map_hw, affine):
    norm = randomise(torch.nn.LayerNorm(5, eps=1e-3).double())
    x = noise(2, map_hw[0] * map_hw[1], 5)
    wanted = norm(x) if affine else plain(x, norm)
    assert (on_tokens(MapNorm(norm, map_hw, affine), x, map_hw) - wanted).abs().max() < EXACT


@torch.inference_mode()
def differences(model: torch.nn.Module, imgsz: tuple[int, int], batch: int = 1) -> list[float]:
    """max |training form - deploy form| of each output."""
    images = noise(batch, 3, *imgsz)
    wanted, found = outputs(model(images)), outputs(to_deploy_form(model, imgsz)(images))
    assert [t.shape for t in found] == [t.shape for t in wanted]
    assert all(t.dtype == torch.float64 and t.std() > 0.05 for t in wanted)  # something there to differ
    return [(a - b).abs().max().item() for a, b in zip(found, wanted, strict=True)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_and_task(variant):
    backbone = build("features", variant).double()
    sizes = [(64, 96), (96, 64)] if variant in ("b0", "b2-li") else [(64, 96)]  # the largest take seconds each
    for task, head in (("features", ""), ("classify", ""), ("detect", "retinanet"), ("detect", "lite")):
        model = build_around(backbone, task, head=head)
        for imgsz in sizes:
            assert max(differences(model, imgsz)) < EXACT, (task, head, imgsz)


SIZES = [(224, 224), (256, 320), (480, 640), (512, 512), (640, 640), (800, 1344)]


@pytest.mark.parametrize("variant", ["b0", "b2-li", "v1-tiny"])
@pytest.mark.parametrize("imgsz", SIZES)
def test_sizes(variant, imgsz):
    row = dataclasses.replace(get_variant(variant), depths=(1, 1, 1, 1))  # a stage's blocks differ in weights only
    assert max(differences(build("features", row).double(), imgsz)) < EXACT


@pytest.mark.parametrize("imgsz", [(224, 224), (256, 320), (448, 448), (480, 640)])
@pytest.mark.parametrize("target", ["onnxruntime", "openvino", "tensorrt", "onnxruntime-int8"])
@torch.inference_mode()
def test_a_class_token_at_every_size_and_for_every_target(imgsz, target):
    row = dataclasses.replace(get_variant("v1-tiny"), depths=(1, 1, 1, 2))
    model, images = build("classify", row).double(), noise(2, 3, *imgsz)
    form, wanted = to_deploy_form(model, imgsz), model(images)
    form.backbone.shape_for(target)
    assert wanted.std() > 0.05
    assert (form(images) - wanted).abs().max() < EXACT


@pytest.mark.parametrize("target", ["openvino", "tensorrt"])
@torch.inference_mode()
def test_dense_v1_for_every_target(target):
    model, images = build("features", "v1-tiny").double(), noise(1, 3, 96, 128)
    form = to_deploy_form(model, (96, 128))
    form.shape_for(target)
    assert max((a - b).abs().max() for a, b in zip(form(images), model(images), strict=True)) < EXACT


def test_a_batch():
    assert max(differences(build("detect", "b0").double(), (64, 96), batch=3)) < EXACT


@pytest.mark.parametrize("eps", [1e-6, 1e-2])
def test_epsilons_are_the_models_own(eps):
    from pvt_edge.checkpoints.loading import set_epsilons

    model = build("classify", "b0").double()
    set_epsilons(model.backbone, embed_eps=eps, block_eps=2 * eps)
    assert max(differences(model, (64, 64))) < EXACT


def test_the_model_is_left_as_it_was():
    model = build("detect", "b0").train()
    names = [name for name, _ in model.named_modules()]
    before = copy.deepcopy(model.state_dict())
    deploy = to_deploy_form(model, (64, 96))
    with torch.no_grad():
        for tensor in deploy.state_dict().values():
            tensor.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [name for name, _ in model.named_modules()] == names
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_is_for_inference_only():
    deploy = to_deploy_form(build("classify", "b0").train(), (64, 64))
    assert not any(module.training for module in deploy.modules())
    assert not any(parameter.requires_grad for parameter in deploy.parameters())


@pytest.mark.parametrize("task", ["classify", "features", "detect"])
def test_of_a_model_as_create_model_gives_it(task):
    model, images = create_model("b0", task), noise(1, 3, 64, 64).float()
    with torch.inference_mode():
        wanted, found = outputs(model(images)), outputs(to_deploy_form(model, (64, 64))(images))
    for a, b in zip(found, wanted, strict=True):
        assert (a - b).abs().max() < 1e-5 * max(1.0, b.abs().max().item())


@pytest.mark.parametrize(
    ("imgsz", "nearest"),
    [
        ((100, 200), "96,192"),
        ((0, 0), "32,32"),
        ((-32, 64), "32,64"),
        ((1, 64), "32,64"),
        ((224, 225), "224,224"),
        ((639, 641), "640,640"),
        ((16, 500), "32,512"),
    ],
)
def test_sizes_between_are_refused_with_the_nearest(imgsz, nearest):
    with pytest.raises(ImageSizeError, match=f"the nearest is {nearest}$") as caught:
        to_deploy_form(create_model("b0", "features"), imgsz)
    assert f"image size {imgsz[0]},{imgsz[1]} (height,width)" in str(caught.value)
    assert isinstance(caught.value, PvtEdgeError)


@pytest.mark.parametrize("imgsz", [(32, 32), (64, 96), (800, 1344)])
def test_multiples_of_32_pass(imgsz):
    check_imgsz(imgsz)


def test_other_modules_are_refused():
    with pytest.raises(TypeError, match="made by create_model, not a Linear"):
        to_deploy_form(torch.nn.Linear(1, 1), (64, 64))
