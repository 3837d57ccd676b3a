"""Files that Hugging Face transformers wrote, with its own outputs as the truth."""

import pytest
import torch

from pvt_edge.checkpoints import load_weights
from pvt_edge.variants import VARIANTS
from pvt_edge.zoo import create_model

transformers = pytest.importorskip("transformers")

V2 = [name for name, row in VARIANTS.items() if row.family == "pvt-v2"]
TOLERANCE = 1e-5  # of the largest value; float32 on both sides
IMAGE_HW = {"b0": (224, 224), "b1": (96, 160), "b2": (72, 104), "b2-li": (72, 104)}  # the larger ones 64x96


@pytest.fixture
def peer(fill):
    """The function (class name, variant, options) -> a transformers model with random weights."""

    def create(name: str, variant: str, **options):
        row = VARIANTS[variant]
        config = transformers.PvtV2Config(
            hidden_sizes=list(row.dims),
            depths=list(row.depths),
            mlp_ratios=list(row.mlp_ratios),
            linear_attention=row.linear,
            **options,
        )
        with torch.device("meta"):  # its own initialisation takes longer than the test
            model = getattr(transformers, name)(config)
        return fill(model.to_empty(device="cpu")).eval()

    return create


def images(variant: str) -> torch.Tensor:
    return torch.randn(2, 3, *IMAGE_HW.get(variant, (64, 96)), generator=torch.Generator().manual_seed(1))


def relative_error(given: torch.Tensor, truth: torch.Tensor) -> float:
    return ((given - truth).abs().max() / truth.abs().max()).item()


@pytest.mark.parametrize("variant", V2)
def test_classifier(variant, tmp_path, peer, build):
    theirs = peer("PvtV2ForImageClassification", variant, num_labels=7)
    if variant in ("b1", "b2-li"):
        path = tmp_path / "pytorch_model.bin"
        torch.save(theirs.state_dict(), path)
    else:
        theirs.save_pretrained(tmp_path)
        path = tmp_path / "model.safetensors"
    ours = build("classify", variant)
    report = load_weights(ours, path)
    assert (report.dialect, report.variant) == ("transformers", variant)
    assert set(report.loaded) == set(ours.state_dict())
    assert report.left_out == report.kept == report.reinitialised == ()

    x = images(variant)
    with torch.inference_mode():
        truth = theirs(x, output_hidden_states=True)
        maps = ours.backbone(x)
        assert relative_error(ours(x), truth.logits) < TOLERANCE
        for given, expected in zip(maps, truth.hidden_states, strict=True):
            assert relative_error(given, expected) < TOLERANCE


@pytest.mark.parametrize("variant", ["b0", "b2-li"])
def test_backbone(variant, tmp_path, peer, build):
    theirs = peer("PvtV2Backbone", variant, out_features=["stage1", "stage2", "stage3", "stage4"])
    theirs.save_pretrained(tmp_path)
    ours = build("features", variant)
    report = load_weights(ours, tmp_path / "model.safetensors")
    assert set(report.loaded) == set(ours.state_dict())
    x = images("b2")
    with torch.inference_mode():
        for given, expected in zip(ours(x), theirs(x).feature_maps, strict=True):
            assert relative_error(given, expected) < TOLERANCE


def test_shards_that_an_index_lists(tmp_path, peer, build):
    theirs = peer("PvtV2ForImageClassification", "b0", num_labels=7)
    theirs.save_pretrained(tmp_path, max_shard_size="5MB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    ours = build("classify", "b0")
    load_weights(ours, tmp_path / "model.safetensors.index.json")
    x = images("b1")
    with torch.inference_mode():
        assert relative_error(ours(x), theirs(x).logits) < TOLERANCE


def test_epsilon_shows_in_these_outputs(tmp_path, peer, build):
    """With the official epsilons the same weights give other outputs, so the tests above see the field."""
    theirs = peer("PvtV2ForImageClassification", "b0", num_labels=7)
    theirs.save_pretrained(tmp_path)
    ours = build("classify", "b0")
    defaults = [m.eps for m in ours.modules() if isinstance(m, torch.nn.LayerNorm)]
    load_weights(ours, tmp_path / "model.safetensors")
    for module, eps in zip((m for m in ours.modules() if isinstance(m, torch.nn.LayerNorm)), defaults, strict=True):
        module.eps = eps
    x = images("b1")
    with torch.inference_mode():
        assert relative_error(ours(x), theirs(x).logits) > 1e-4


def test_a_saved_folder_whole_and_in_shards(tmp_path, peer):
    theirs = peer("PvtV2ForImageClassification", "b0", num_labels=7)
    theirs.save_pretrained(tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="4MB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    for folder in ("whole", "shards"):
        model = create_model("auto", weights=tmp_path / folder)
        with torch.inference_mode():
            assert relative_error(model(pixels), theirs(pixels).logits) < TOLERANCE
