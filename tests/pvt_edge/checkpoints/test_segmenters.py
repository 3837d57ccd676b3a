"""Segmenters of mmseg and transformers: the same logits from their files, and numbers of parameters."""

import math

import pytest
import torch
import torch.nn.functional as F

from pvt_edge.checkpoints import load_weights
from pvt_edge.checkpoints.opening import summarise_checkpoint
from pvt_edge.checkpoints.translation import from_native
from pvt_edge.errors import PvtEdgeError
from pvt_edge.zoo import create_model, resolve_weights

TOLERANCE = 1e-4  # of the largest value
EQUAL_PIXELS = 0.9999
DIMS = (32, 64, 160, 256)  # of b0
# variant, head -> parameters with 150 classes
PARAMETERS = {
    ("b0", "linear"): 3_409_760 + 38_550,
    ("b0", "fpn"): 3_409_760 + 2_492_416 + 1_643_158,
    ("b0", "upernet"): 31_286_262,
    ("b0", "upernet:128"): 3_409_760 + 2_103_190,
    ("b2", "upernet"): 54_561_366,
    ("pvt-v1-tiny", "upernet"): 42_426_262 - 512,  # the row of a class token in the table of positions
    ("pvt-v1-tiny", "fpn"): 16_981_398 - 512,
}


@pytest.mark.parametrize(("variant", "head"), PARAMETERS)
def test_parameters(variant, head, build):
    model = build("segment", variant, 150, head)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[variant, head]


class Oracle:
    """mmseg's blocks in plain functions on a state_dict."""

    def __init__(self, tensors):
        self.tensors = tensors

    def conv(self, name, x):
        weight = self.tensors[f"{name}.weight"]
        return F.conv2d(x, weight, self.tensors.get(f"{name}.bias"), padding=weight.shape[2] // 2)

    def block(self, name, x):
        parts = (self.tensors[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(self.conv(f"{name}.conv", x), *parts, eps=1e-5).relu()

    def semantic_fpn(self, maps):
        """FPN of start level 0 and four outputs, then FPNHead of strides 4, 8, 16, 32."""
        laterals = [self.conv(f"neck.lateral_convs.{i}.conv", x) for i, x in enumerate(maps)]
        for i in (3, 2, 1):
            laterals[i - 1] = laterals[i - 1] + F.interpolate(laterals[i], size=laterals[i - 1].shape[2:])
        outs = [self.conv(f"neck.fpn_convs.{i}.conv", x) for i, x in enumerate(laterals)]
        total = self.block("decode_head.scale_heads.0.0", outs[0])
        for i, stride in ((1, 8), (2, 16), (3, 32)):
            x = outs[i]
            for step in range(int(math.log2(stride)) - 2):
                x = self.block(f"decode_head.scale_heads.{i}.{2 * step}", x)
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            total = total + F.interpolate(x, size=total.shape[2:], mode="bilinear", align_corners=False)
        return self.conv("decode_head.conv_seg", total)


def class_map(logits, input_hw, picture_hw):
    """As mmseg predicts: logits to the input's size, then to the picture's, then the largest."""
    grown = F.interpolate(logits, size=input_hw, mode="bilinear", align_corners=False)
    return F.interpolate(grown, size=picture_hw, mode="bilinear", align_corners=False).argmax(1)


def random_block(name, channels_in, channels_out, kernel, tensors):
    """ConvModule's tensors, BatchNorm's of no special value."""
    tensors[f"{name}.conv.weight"] = (
        torch.randn(channels_out, channels_in, kernel, kernel) / (channels_in * kernel**2) ** 0.5
    )
    for part, low in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5), ("running_var", 0.5)):
        tensors[f"{name}.bn.{part}"] = torch.rand(channels_out) + low
    tensors[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)


def semantic_fpn_file(backbone, classes, width=16):
    """mmseg's state_dict of Semantic FPN on an official backbone."""
    torch.manual_seed(3)
    tensors = from_native(backbone.state_dict(), "official", "backbone.", backbone.variant.family)
    for i, dim in enumerate(DIMS):
        for name, shape in ((f"lateral_convs.{i}", (256, dim, 1, 1)), (f"fpn_convs.{i}", (256, 256, 3, 3))):
            tensors[f"neck.{name}.conv.weight"] = torch.randn(shape) / math.prod(shape[1:]) ** 0.5
            tensors[f"neck.{name}.conv.bias"] = torch.rand(256)
        for step in range(max(i, 1)):
            random_block(f"decode_head.scale_heads.{i}.{2 * step}", width if step else 256, width, 3, tensors)
    tensors["decode_head.conv_seg.weight"] = torch.randn(classes, width, 1, 1)
    tensors["decode_head.conv_seg.bias"] = torch.zeros(classes)
    random_block("auxiliary_head.convs.0", 160, 8, 3, tensors)
    tensors["auxiliary_head.conv_seg.weight"] = torch.randn(classes, 8, 1, 1)
    return tensors


@pytest.fixture
def backbone(build, fill):
    return fill(build("features", "b0"))


@torch.inference_mode()
def assert_alike(found, wanted, input_hw):
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= TOLERANCE * wanted.abs().max()
    picture_hw = (375, 500)
    equal = class_map(found, input_hw, picture_hw) == class_map(wanted, input_hw, picture_hw)
    assert equal.double().mean() >= EQUAL_PIXELS


def test_semantic_fpn_of_mmseg(tmp_path, backbone):
    tensors = semantic_fpn_file(backbone, 5)
    path = tmp_path / "iter_40000.pth"
    torch.save({"state_dict": tensors, "meta": {"CLASSES": ("a", "b", "c", "d", "e")}}, path)
    chosen = resolve_weights(None, None, str(path))
    model = chosen.model
    assert (chosen.task, chosen.variant, str(model.config), chosen.labels) == (
        "segment",
        "b0",
        "fpn:16",
        tuple("abcde"),
    )
    report = load_weights(model, path)
    assert sorted(report.left_out) == sorted(name for name in tensors if name.startswith("auxiliary_head."))
    assert "auxiliary_head" in report.summary()
    assert report.kept == ()
    images = torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        assert_alike(model(images), Oracle(tensors).semantic_fpn(model.backbone(images)), (96, 160))


def test_upernet_of_transformers(tmp_path, build, fill):
    transformers = pytest.importorskip("transformers")
    config = transformers.UperNetConfig(
        backbone_config=transformers.PvtV2Config(out_features=["stage1", "stage2", "stage3", "stage4"]),
        hidden_size=32,
        num_labels=7,
        auxiliary_channels=8,
    )
    theirs = fill(transformers.UperNetForSemanticSegmentation(config)).eval()
    theirs.save_pretrained(tmp_path)
    chosen = resolve_weights(None, None, str(tmp_path))
    assert (chosen.task, chosen.variant, str(chosen.model.config)) == ("segment", "b0", "upernet:32")
    assert chosen.labels == tuple(f"LABEL_{i}" for i in range(7))
    images = torch.randn(1, 3, 480, 640)
    with torch.inference_mode():
        wanted = theirs.decode_head(theirs.backbone(images).feature_maps)
        assert_alike(chosen.model(images), wanted, (480, 640))

    # the same in mmseg's names, on an official backbone
    names = {".batch_norm.": ".bn.", ".classifier.": ".conv_seg."}
    tensors = from_native(chosen.model.backbone.state_dict(), "official", "backbone.")
    for name, tensor in theirs.state_dict().items():
        if not name.startswith("backbone."):
            for old, new in names.items():
                name = name.replace(old, new)
            tensors[name] = tensor
    torch.save(tensors, tmp_path / "mmseg.pth")
    again = create_model(None, task="segment", weights=tmp_path / "mmseg.pth")
    small = images[..., :64, :96]
    with torch.inference_mode():
        assert torch.equal(again(small), chosen.model(small))


def test_a_backbone_alone_into_a_segmenter(tmp_path, backbone):
    path = tmp_path / "backbone.pth"
    torch.save(from_native(backbone.state_dict(), "official"), path)
    model = create_model("b0", task="segment", head="lite", num_classes=3)
    report = load_weights(model, path)
    assert report.kept
    assert all(name.startswith("head.") for name in report.kept)


def test_another_librarys_decoder_is_told_and_its_encoder_loads(tmp_path, backbone):
    """The names of segmentation_models.pytorch with timm's encoder, in a file of Lightning."""
    encoder = from_native(backbone.state_dict(), "timm-features")
    tensors = {f"model.encoder.model.{name}": tensor for name, tensor in encoder.items()}
    tensors["model.decoder.blocks.0.conv1.0.weight"] = torch.zeros(256, 416, 3, 3)
    tensors["model.segmentation_head.0.weight"] = torch.zeros(5, 16, 3, 3)
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "unet.ckpt")
    for task in ("segment", "features"):
        with pytest.raises(PvtEdgeError, match=r"segmentation_models\.pytorch.*encoder.model.state_dict"):
            create_model("b0", task=task, weights=tmp_path / "unet.ckpt")
    torch.save(encoder, tmp_path / "encoder.pth")
    model = create_model("b0", task="segment", head="lite:16", num_classes=5)
    assert load_weights(model, tmp_path / "encoder.pth").dialect == "timm-features"
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        assert all(map(torch.equal, model.backbone(images), backbone(images)))


def test_other_class_counts(tmp_path, backbone):
    path = tmp_path / "five.pth"
    torch.save(semantic_fpn_file(backbone, 5), path)
    assert summarise_checkpoint(path).num_classes == 5
    model = create_model("b0", task="segment", head="fpn:16", num_classes=3)
    with pytest.raises(PvtEdgeError, match="5 classes"):
        load_weights(model, path)
    assert load_weights(model, path, reinit_head=True).reinitialised == ("head.classes.weight", "head.classes.bias")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("model = dict(decode_head=dict(type='FPNHead', align_corners=True))", "align_corners"),
        ("model = dict(decode_head=dict(type='UPerHead', pool_scales=(1, 2, 4, 8)))", "pool_scales"),
        ("model = dict(decode_head=dict(type='FPNHead', threshold=3.0))", "threshold"),
    ],
)
def test_a_configuration_of_another_network(tmp_path, backbone, config, told):
    path = tmp_path / "other.pth"
    torch.save({"state_dict": semantic_fpn_file(backbone, 1), "meta": {"cfg": config}}, path)
    with pytest.raises(PvtEdgeError, match=told):
        create_model("b0", task="segment", weights=path)


def test_threshold_of_one_class(tmp_path, backbone):
    path = tmp_path / "one.pth"
    config = "model = dict(decode_head=dict(type='FPNHead', num_classes=2, out_channels=1, threshold=0.4))"
    torch.save({"state_dict": semantic_fpn_file(backbone, 1), "meta": {"cfg": config}}, path)
    model = create_model(None, task="segment", weights=path)
    assert (model.num_classes, model.thresholds) == (1, {"threshold": 0.4})
