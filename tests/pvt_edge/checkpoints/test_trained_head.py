"""Anchors, box coder and thresholds that a checkpoint's configuration tells of, and its class names."""

import json
from dataclasses import replace

import pytest
import torch

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.checkpoints import load_weights, save_weights
from pvt_edge.checkpoints.mmdet_config import read_config
from pvt_edge.checkpoints.translation import from_native
from pvt_edge.errors import WeightsError
from pvt_edge.export.request import default_postprocess
from pvt_edge.models import build_model
from pvt_edge.models.anchors import Decode, cell_anchors, decode
from pvt_edge.models.retinanet import HEADS, HeadConfig
from pvt_edge.variants import get_variant
from pvt_edge.zoo import resolve_weights

LETTERS = tuple("abcdefg")
RETINANET = """
dataset_type = 'CocoDataset'
model = dict(
    type='RetinaNet',
    neck=dict(type='FPN', start_level=1, add_extra_convs='on_input', num_outs=5),
    bbox_head=dict(
        type='RetinaHead',
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=[1.0, 1.0, 1.0, 1.0]),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0)),
    test_cfg=dict(
        nms_pre=1000, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
"""  # fmt: skip


@pytest.fixture
def file(b0_detector, tmp_path):
    """The function (old, new, ...) -> mmdet's file of a detector whose configuration has `new` for `old`."""

    def write(*changes, **meta):
        text = RETINANET
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        state = from_native(b0_detector.state_dict(), "mmdet", "backbone.")
        path = tmp_path / "epoch_12.pth"
        torch.save({"meta": {"cfg": text, "epoch": 12, **meta}, "state_dict": state}, path)
        return path

    return write


def test_the_configuration_of_retinanet_changes_nothing(file, b0_detector):
    chosen = resolve_weights("b0", weights=str(file()))
    assert chosen.model.config == HEADS["retinanet"]
    assert default_postprocess(chosen.model, None) == PostprocessSpec()
    wanted = b0_detector.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in chosen.model.state_dict().items())
    assert "anchors" not in chosen.notes[0]


CHANGES = {
    "octave": (("octave_base_scale=4", "octave_base_scale=2"), {"scales": (2, 2 * 2 ** (1 / 3), 2 * 2 ** (2 / 3))}),
    "scales": (("octave_base_scale=4, scales_per_octave=3", "scales=[3, 8, 9]"), {"scales": (3.0, 8.0, 9.0)}),
    "ratios": (("[0.5, 1.0, 2.0]", "[0.3, 1.0, 3.0]"), {"ratios": (0.3, 1.0, 3.0)}),
    "offset": (("octave_base_scale=4", "octave_base_scale=4, center_offset=0.5"), {"center_offset": 0.5}),
    "sizes": (
        ("strides=[8,", "base_sizes=[4, 8, 16, 32, 64], strides=[8,"),
        {"base_sizes": (4.0, 8.0, 16.0, 32.0, 64.0)},
    ),
    "candidates": (("nms_pre=1000", "nms_pre=300"), {"pre_nms": 300}),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_anchors_of_the_file_reach_the_decoder_and_a_file_of_our_own(kind, file, build, tmp_path):
    change, fields = CHANGES[kind]
    wanted = replace(HeadConfig(), **fields)
    path = file(*change)
    model = build("detect", "b0")
    report = load_weights(model, path)
    assert model.config == wanted
    assert resolve_weights("b0", weights=str(path)).model.config == wanted
    assert "anchors of the file's configuration" in report.summary()
    assert torch.equal(Decode(model.config, 7, (64, 64)).anchors1[:9], cell_anchors(wanted, 1).float())
    save_weights(model, tmp_path / "ours.safetensors")
    again = build("detect", "b0")
    load_weights(again, tmp_path / "ours.safetensors")
    if kind != "candidates":
        assert again.config == wanted


def test_anchors_by_hand():
    config = HeadConfig(levels=3, scales=(2.0,), ratios=(1.0, 4.0), base_sizes=(6.0, 8.0, 10.0), center_offset=0.5)
    assert config.anchors_per_cell == 2
    # side 16 around the middle (4, 4); ratio 4: half as wide, twice as high
    assert cell_anchors(config, 1).tolist() == [[-4, -4, 12, 12], [0, -12, 8, 20]]


def test_another_number_of_anchors(file, build, fill, tmp_path):
    head = HeadConfig(scales=(8.0,), ratios=(1.0, 2.0))
    model = fill(build_model(get_variant("b0"), "detect", 7, head))
    text = RETINANET.replace("octave_base_scale=4, scales_per_octave=3", "scales=[8]")
    text = text.replace("[0.5, 1.0, 2.0]", "[1, 2]")
    state = from_native(model.state_dict(), "mmdet", "backbone.")
    torch.save({"meta": {"cfg": text}, "state_dict": state}, tmp_path / "a.pth")
    chosen = resolve_weights(None, weights=str(tmp_path / "a.pth"))
    assert chosen.model.config == head
    assert chosen.model.num_classes == 7
    with pytest.raises(
        WeightsError, match=r"has 2 anchors a cell \(scales=\(8.0,\), ratios=\(1.0, 2.0\)\), the model 9"
    ):
        load_weights(build("detect", "b0"), tmp_path / "a.pth")


def test_means_and_stds_of_the_box_coder(file, b0_detector, build):
    stds, means = [0.1, 0.1, 0.2, 0.2], [0.0, 0.5, 0.0, 0.0]
    path = file("[1.0, 1.0, 1.0, 1.0]", str(stds), "[0.0, 0.0, 0.0, 0.0]", str(means))
    model = build("detect", "b0")
    report = load_weights(model, path)
    assert "box deltas scaled" in report.summary()
    with torch.inference_mode():
        maps = [torch.rand(1, 256, 2, 2, generator=torch.Generator().manual_seed(0))] * 5
        ours, theirs = model.head(maps)[1][0], b0_detector.head(maps)[1][0]
    ours, theirs = (deltas.permute(0, 2, 3, 1).reshape(-1, 4) for deltas in (ours, theirs))
    anchors = torch.tensor([[0.0, 0.0, 10.0, 20.0]]).expand(len(ours), 4)
    wanted = decode(theirs * torch.tensor(stds) + torch.tensor(means), anchors)  # as mmdet's delta2bbox does
    assert torch.allclose(decode(ours, anchors), wanted, atol=1e-4)
    assert ours.std() > 1e-3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("add_extra_convs='on_input'", "add_extra_convs='on_output'", "neck.add_extra_convs='on_output'"),
        ("num_outs=5", "num_outs=5, relu_before_extra_convs=True", "relu_before_extra_convs=True"),
        ("use_sigmoid=True", "use_sigmoid=False", "loss_cls.use_sigmoid=False"),
        ("type='AnchorGenerator'", "type='SSDAnchorGenerator'", "anchor_generator.type='SSDAnchorGenerator'"),
        ("type='DeltaXYWHBBoxCoder'", "type='TBLRBBoxCoder'", "bbox_coder.type='TBLRBBoxCoder'"),
        ("strides=[8, 16", "strides=[4, 16", r"anchors of strides \[4, 16"),
        ("ratios=[0.5", "ratios=[-0.5", "makes no sense"),
        ("[1.0, 1.0, 1.0, 1.0]", "[1.0]", "makes no sense"),
        ("strides=[8, 16, 32, 64, 128]", "strides=8", "makes no sense"),
        ("scales_per_octave=3", "scales_per_octave=1000000000", "1000000000 scales an octave"),
    ],
)
def test_another_network_of_the_same_tensors_is_refused(old, new, said, file, build):
    with pytest.raises(WeightsError, match=said):
        load_weights(build("detect", "b0"), file(old, new))


def test_thresholds_of_the_test_cfg(file):
    changes = {"score_thr=0.05": "score_thr=0.3", "threshold=0.5": "threshold=0.65", "per_img=100": "per_img=300"}
    chosen = resolve_weights("b0", weights=str(file(*(text for pair in changes.items() for text in pair))))
    assert default_postprocess(chosen.model, None) == PostprocessSpec(conf=0.3, iou=0.65, max_det=300)
    assert "conf 0.3" in chosen.notes[0]
    soft = resolve_weights("b0", weights=str(file("type='nms'", "type='soft_nms'")))
    assert "soft_nms" in soft.notes[0]


@pytest.mark.parametrize(
    "meta",
    [{"dataset_meta": {"classes": LETTERS}}, {"dataset_meta": {"CLASSES": list(LETTERS)}}, {"CLASSES": LETTERS}],
)  # fmt: skip
def test_class_names_of_the_meta_are_the_labels(meta, file):
    assert resolve_weights("b0", weights=str(file(**meta))).labels == LETTERS
    assert resolve_weights("b0", weights=str(file(CLASSES=("a", "b")))).labels is None
    assert resolve_weights("b0", weights=str(file(CLASSES=3))).labels is None


def test_a_configuration_that_cannot_be_read_is_said(file, build):
    report = load_weights(build("detect", "b0"), file("model = dict(", "model = dict(("))
    assert "cannot be read" in report.summary()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a = dict(b=[1, (2, 'x')], c={'d': None, 5: -1.5})\n", {"a": {"b": [1, [2, "x"]], "c": {"d": None, 5: -1.5}}}),
        ("/home/me/config.py\na = 1\n", {"a": 1}),
        (json.dumps({"a": {"b": [1]}}), {"a": {"b": [1]}}),
        ("import os\na = dict(b=os.system('true'), c=1, e=[x, 2])\nb = __import__('os')\n", {"a": {"c": 1, "e": [2]}}),
        ("a = " + "(" * 300 + ")" * 300, None),
        ("a = dict(", None),
    ],
)  # fmt: skip
def test_configurations_are_read_as_data(text, found):
    assert read_config({"cfg": text}) == found
