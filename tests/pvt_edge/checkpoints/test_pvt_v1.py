"""PVT v1: files of every dialect, transformers' outputs as the truth, positions by mmdet's rule at other sizes."""

import argparse

import pytest
import torch
import torch.nn.functional as F

from pvt_edge.checkpoints import load_weights, save_weights
from pvt_edge.checkpoints.opening import summarise_checkpoint
from pvt_edge.checkpoints.translation import from_native
from pvt_edge.errors import WeightsError
from pvt_edge.variants import VARIANTS, get_variant
from pvt_edge.zoo import create_model, resolve_weights

V1 = [name for name, row in VARIANTS.items() if row.family == "pvt-v1"]
CONTAINERS = {"native": "backbone.", "official": "", "transformers": "pvt.encoder."}
TOLERANCE = 1e-5  # of the largest value; float32 on both sides


@pytest.fixture(scope="module")
def tiny(request):
    """A classifier of 7 classes with random weights: copy it, do not change it."""
    torch.manual_seed(0)
    model = create_model("v1-tiny", num_classes=7)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(torch.randn_like(tensor) * 0.05)
    return model


def images(*image_hw: int) -> torch.Tensor:
    return torch.randn(1, 3, *image_hw, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("variant", V1)
def test_transformers_gives_the_same_logits(variant, tmp_path, fill, build):
    transformers = pytest.importorskip("transformers")
    row = VARIANTS[variant]
    config = transformers.PvtConfig(depths=list(row.depths), hidden_sizes=list(row.dims), num_labels=7)
    with torch.device("meta"):  # its own initialisation takes longer than the test
        theirs = transformers.PvtForImageClassification(config)
    theirs = fill(theirs.to_empty(device="cpu")).eval()
    theirs.save_pretrained(tmp_path)
    ours = build("classify", variant)
    report = load_weights(ours, tmp_path / "model.safetensors")
    assert (report.dialect, report.variant) == ("transformers", variant)
    assert set(report.loaded) == set(ours.state_dict())
    assert report.left_out == report.kept == ()
    with torch.inference_mode():
        truth, given = theirs(images(224, 224)).logits, ours(images(224, 224))
    assert truth.std() > 1e-3
    assert (given - truth).abs().max() <= TOLERANCE * truth.abs().max()


@pytest.mark.parametrize("dialect", CONTAINERS)
def test_a_classifier_comes_back_from_every_dialect(dialect, tiny, tmp_path):
    tensors = from_native(tiny.state_dict(), dialect, CONTAINERS[dialect], family="pvt-v1")
    torch.save(tensors, tmp_path / "a.pth")
    summary = summarise_checkpoint(tmp_path / "a.pth")
    assert (summary.dialect, summary.variant, summary.task, summary.num_classes) == (dialect, "v1-tiny", "classify", 7)
    back = create_model(None, weights=tmp_path / "a.pth")
    ours, theirs = tiny.state_dict(), back.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_mmdet_has_no_class_token(tiny, tmp_path):
    dense = {name: t for name, t in tiny.backbone.state_dict().items() if name not in tiny.backbone.pooling}
    tensors = from_native(dense, "mmdet", "backbone.", family="pvt-v1")
    assert tensors["backbone.layers.3.1.0.pos_embed"].shape == (1, 49, 512)
    assert tensors["backbone.layers.0.1.2.ffn.layers.3.weight"].shape == (64, 512, 1, 1)
    torch.save({"state_dict": tensors, "meta": {}}, tmp_path / "a.pth")
    detector = create_model("v1-tiny", "detect", 3, head="lite")
    report = load_weights(detector, tmp_path / "a.pth")
    assert report.left_out == ()
    assert {name.split(".")[0] for name in report.kept} == {"neck", "head"}
    classifier = create_model("v1-tiny", num_classes=3)
    kept = load_weights(classifier, tmp_path / "a.pth").kept
    assert {"backbone.cls_token", "backbone.norm.weight", "head.weight"} <= set(kept)


def test_official_training_checkpoints_hold_their_arguments(tiny, tmp_path):
    state = from_native(tiny.state_dict(), "official", family="pvt-v1")
    assert state["pos_embed4"].shape == (1, 50, 512)
    torch.save({"model": state, "epoch": 3, "args": argparse.Namespace(lr=1e-3, output_dir="x")}, tmp_path / "a.pth")
    chosen = resolve_weights(None, weights=str(tmp_path / "a.pth"))
    assert (chosen.variant, chosen.task, chosen.dialect) == ("v1-tiny", "classify", "official")


def test_dense_models_leave_the_class_token_out(tiny, tmp_path):
    torch.save(from_native(tiny.state_dict(), "official", family="pvt-v1"), tmp_path / "a.pth")
    features = create_model("v1-tiny", "features")
    report = load_weights(features, tmp_path / "a.pth")
    assert set(report.left_out) == {"cls_token", "norm.weight", "norm.bias", "head.weight", "head.bias"}
    with torch.inference_mode():
        x = images(224, 224)
        for stage in tiny.backbone.stages:  # the stages as they are, without the token
            x = stage(x)
        assert torch.equal(features(images(224, 224))[-1], x)


def test_weights_of_our_own(tiny, tmp_path):
    save_weights(tiny, tmp_path / "a.safetensors")
    again = create_model("pvt_tiny", num_classes=7, weights=tmp_path / "a.safetensors")
    assert torch.equal(again(images(64, 64)), tiny(images(64, 64)))


def test_the_other_family_is_told(tiny, tmp_path, build):
    torch.save(from_native(tiny.state_dict(), "official", family="pvt-v1"), tmp_path / "v1.pth")
    with pytest.raises(WeightsError, match="holds v1-tiny, the model is b1: give --variant v1-tiny"):
        load_weights(build("classify", "b1"), tmp_path / "v1.pth")
    save_weights(build("classify", "b1"), tmp_path / "v2.safetensors")
    with pytest.raises(WeightsError, match="holds b1, the model is v1-tiny"):
        load_weights(create_model("v1-tiny", num_classes=7), tmp_path / "v2.safetensors")


def by_mmdets_rule(table: torch.Tensor, map_hw: tuple[int, int]) -> torch.Tensor:
    """mmdet 3.3's AbsolutePositionEmbedding.resize_pos_embed, written down from its description."""
    side = round(table.shape[1] ** 0.5)
    grid = table.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=map_hw, mode="bilinear", align_corners=False)
    return torch.flatten(resized, 2).transpose(1, 2)


@pytest.mark.parametrize("image_hw", [(224, 224), (448, 448), (112, 448), (480, 640)])
def test_positions_at_every_size(image_hw, tiny):
    """448x448 and 112x448 have stages of 3136 tokens, where the official code takes the table as it lies."""
    x = images(*image_hw)
    with torch.inference_mode():
        for i, stage in enumerate(tiny.backbone.stages):
            tokens, h, w = stage.embed(x)
            assert (h, w) == (image_hw[0] >> (i + 2), image_hw[1] >> (i + 2))
            plain, _, _ = stage.patch_embed(x)
            positions = by_mmdets_rule(stage.pos_embed, (h, w))
            assert torch.allclose(tokens - plain, positions.expand_as(plain), atol=1e-5)
            x = tokens.transpose(1, 2).unflatten(2, (h, w))
    if image_hw == (224, 224):
        table = tiny.backbone.stages[2].pos_embed
        assert torch.equal(by_mmdets_rule(table, (14, 14)), table)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("pvt_tiny", "v1-tiny"),
        ("PVT-Large", "v1-large"),
        ("V1-Small", "v1-small"),
        ("pvt_v2_b2_li", "b2-li"),
        ("pvt_v2_b2_linear", "b2-li"),
    ],
)
def test_names_of_files_and_libraries(name, variant):
    assert get_variant(name).name == variant
