"""Faults planted in copies of real bundles are found with the default tolerances, and sound artifacts pass them."""

import pytest

import pvt_edge
from pvt_edge.scenes import draw_scene

from .faults import (
    copy_bundle,
    drop_bias,
    edit_manifest,
    grey_mean,
    map_classes,
    plant,
    poison,
    refresh,
    reverse_mean,
    saturate,
    shift_picture,
    swap_colours,
    transpose,
)

FP32, INT8 = "model.fp32.onnx", "model.int8.onnx"
BUNDLES = ("cells_bundle", "cells_seg_bundle")
FAULTS = {
    "colours swapped": swap_colours,
    "mean of RGB": reverse_mean,
    "mean of grey": grey_mean,
    "transposed, first stage": transpose("stages.0.blocks.0.attn.proj"),
    "transposed, last stage": transpose("stages.3.blocks.1.attn.v"),
    "no bias, first layer": drop_bias("stages.0.patch_embed"),
    "no bias, last stage": drop_bias("stages.3.blocks.0.mlp.fc1"),
    "two pixels off": shift_picture(2),
}


@pytest.fixture(params=BUNDLES, ids=["detector", "segmenter"])
def bundle(request):
    """A detector's bundle, and a segmenter's."""
    return request.getfixturevalue(request.param)


def test_sound_artifacts_pass(bundle, scenes):
    report = pvt_edge.verify(bundle, images=scenes)
    assert report, report.failures
    names = [row.name for row in report.artifacts]
    assert {*names} - {"openvino bf16"} == {"openvino fp32", "openvino int8", "onnxruntime int8"}
    assert report.reference == "onnxruntime fp32"
    assert "openvino bf16" in [*names, *(name for name, _ in report.skipped)]


def test_sound_artifacts_pass_on_real_pictures(bundle, bccd):
    report = pvt_edge.verify(bundle, images=bccd / "images", limit=5, seed=3)
    assert report, report.failures
    assert (report.pictures, report.pictures_there) == (5, len(list((bccd / "images").iterdir())))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_graph_shows_against_a_sound_bundle(bundle, scenes, tmp_path, fault):
    spoilt = plant(copy_bundle(bundle, tmp_path / "copy", FP32), FP32, FAULTS[fault])
    report = pvt_edge.verify(spoilt, images=scenes, against=bundle)
    assert not report
    assert [row.name for row in report.artifacts] == ["onnxruntime fp32"]
    assert all(line.startswith("onnxruntime fp32: ") and "scene_" in line for line in report.failures)


@pytest.mark.parametrize("fault", ["colours swapped", "mean of RGB", "two pixels off"])
def test_a_fault_of_int8_alone_shows_against_its_own_fp32(cells_bundle, scenes, tmp_path, fault):
    spoilt = plant(copy_bundle(cells_bundle, tmp_path / "copy", FP32, INT8), INT8, FAULTS[fault])
    report = pvt_edge.verify(spoilt, images=scenes)
    assert [(row.name, bool(row)) for row in report.artifacts] == [("onnxruntime int8", False)]


@pytest.mark.parametrize("layer", [0, 27, 48, 84, 117])  # attention may clip unseen: one of it weighs little
def test_a_saturated_layer_shows(cells_bundle, scenes, tmp_path, layer):
    spoilt = plant(copy_bundle(cells_bundle, tmp_path / "copy", FP32, INT8), INT8, saturate(layer))
    assert not pvt_edge.verify(spoilt, images=scenes)


def test_a_fault_in_the_reference_itself_shows_where_another_fp32_is_sound(bundle, scenes, tmp_path):
    copy = copy_bundle(bundle, tmp_path / "copy", FP32, "openvino/fp32.xml")
    report = pvt_edge.verify(
        plant(copy, FP32, FAULTS["no bias, last stage"]), images=scenes, artifacts=["openvino:fp32"]
    )
    assert not report


def test_a_fault_in_all_artifacts_needs_another_bundle(cells_bundle, scenes, tmp_path):
    """What the docs say `verify` cannot see by itself."""
    spoilt = copy_bundle(cells_bundle, tmp_path / "copy", FP32, INT8)
    for file in (FP32, INT8):
        plant(spoilt, file, swap_colours)
    alone = pvt_edge.verify(spoilt, images=scenes, max_score_drift=0.05)
    against = pvt_edge.verify(spoilt, images=scenes, max_score_drift=0.05, against=cells_bundle)
    assert alone
    assert not against


def test_another_resize_rule_shows(bundle, tmp_path):
    import cv2

    pictures = tmp_path / "square"
    pictures.mkdir()
    for i in range(2):
        cv2.imwrite(str(pictures / f"{i}.png"), draw_scene(8_200 + i, 480, 480).image)
    other = edit_manifest(copy_bundle(bundle, tmp_path / "copy", FP32), resize={"mode": "stretch"})
    assert not pvt_edge.verify(other, images=pictures, against=bundle)
    same = refresh(copy_bundle(bundle, tmp_path / "same", FP32))
    assert pvt_edge.verify(same, images=pictures, against=bundle)


def test_a_sound_classifier_passes(classify_bundle, scenes):
    report = pvt_edge.verify(classify_bundle, images=scenes)
    assert report, report.failures
    assert report.artifacts[0].figures.keys() == {"top1", "cosine", "score_drift"}


@pytest.mark.parametrize(
    "fault", [swap_colours, reverse_mean, transpose("stages.0.blocks.0.attn.proj"), shift_picture(2)]
)
def test_a_fault_of_a_classifier_shows(classify_bundle, scenes, tmp_path, fault):
    spoilt = plant(copy_bundle(classify_bundle, tmp_path / "copy", FP32), FP32, fault)
    assert not pvt_edge.verify(spoilt, images=scenes, against=classify_bundle)


@pytest.mark.parametrize(
    "fault",
    [transpose("head.smooth.1.conv"), drop_bias("head.classes"), map_classes(0, 1, 3, 2), poison("classes.bias")],
)
def test_a_fault_of_a_segmenters_head_shows(cells_seg_bundle, scenes, tmp_path, fault):
    spoilt = plant(copy_bundle(cells_seg_bundle, tmp_path / "copy", FP32), FP32, fault)
    assert not pvt_edge.verify(spoilt, images=scenes, against=cells_seg_bundle)
