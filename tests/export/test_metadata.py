"""What model files say of themselves, in our words and in Model API's."""

import json

import cv2
import onnx
import openvino
import pytest

import pvt_edge
from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.runtimes.openvino_core import openvino_core
from pvt_edge.scenes import draw_scene


def onnx_metadata(path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def openvino_metadata(path, root: str) -> dict[str, str]:
    info = openvino_core().read_model(path).get_rt_info([root])
    values = info.astype(dict) if isinstance(info, openvino.OVAny) else info
    return {
        key: value.astype(str) if isinstance(value, openvino.OVAny) else str(value) for key, value in values.items()
    }


@pytest.fixture(scope="module")
def bundles(classifier, lite, tmp_path_factory):
    """A classifier's bundle, and a detector's with all precisions."""
    folder = tmp_path_factory.mktemp("metadata")
    calib = folder / "calib"
    calib.mkdir()
    for i in range(4):
        cv2.imwrite(str(calib / f"{i}.png"), draw_scene(i, 120, 160).image)
    crop = ResizeSpec(mode="crop", interpolation="bilinear", crop_fraction=1.0)
    labels = ["sea lion"] + [f"class {i}" for i in range(1, classifier.num_classes)]
    pvt_edge.export_model(classifier, folder / "classify", imgsz=64, labels=labels, resize=crop)
    pvt_edge.export_model(
        lite, folder / "detect",
        precisions=("fp32", "fp16", "int8"), imgsz=(64, 96), calib=calib, calib_n=4, allow_small=True, tune=False,
        max_drop=1, labels=["a", "b", "c"], postprocess=PostprocessSpec(conf=0.3, iou=0.4),
    )  # fmt: skip
    return folder


def test_a_classifier_is_read_by_model_api(bundles):
    wanted = {
        "model_type": "Classification",
        "resize_type": "crop",
        "interpolation_mode": "LINEAR",
        "reverse_input_channels": "False",
        "mean_values": "0 0 0",
        "scale_values": "1 1 1",
        "orig_height": "64",
        "orig_width": "64",
    }
    found = openvino_metadata(bundles / "classify" / "openvino" / "fp32.xml", "model_info")
    assert wanted.items() <= found.items()
    assert found["labels"].split()[:2] == ["sea_lion", "class_1"]
    in_onnx = onnx_metadata(bundles / "classify" / "model.fp32.onnx")
    assert {f"model_info {key}": value for key, value in found.items()}.items() <= in_onnx.items()
    assert json.loads(in_onnx["labels"])[0] == "sea lion"
    assert json.loads(in_onnx["resize"])["mode"] == "crop"


def test_every_file_of_a_detector_says_what_it_is(bundles):
    made = {a.file: (a.runtime, a.precision) for a in pvt_edge.read_bundle(bundles / "detect").manifest.artifacts}
    assert {precision for _, precision in made.values()} == {"fp32", "fp16", "int8"}
    for file, (runtime, precision) in made.items():
        path = bundles / "detect" / file
        ours = onnx_metadata(path) if runtime == "onnxruntime" else openvino_metadata(path, "pvt_edge")
        assert (ours["task"], json.loads(ours["labels"]), ours["precision"]) == ("detect", ["a", "b", "c"], precision)
        assert json.loads(ours["postprocess"])["conf"] == 0.3
        theirs = ours if runtime == "onnxruntime" else openvino_metadata(path, "model_info")
        prefix = "model_info " if runtime == "onnxruntime" else ""
        keys = ("resize_type", "confidence_threshold", "iou_threshold", "labels", "pad_value")
        assert [theirs[prefix + key] for key in keys] == ["fit_to_window", "0.3", "0.4", "a b c", "115"]
        assert f"{prefix}model_type" not in theirs  # its detectors would not read our outputs
