"""What model files say of themselves, in our words and in Model API's."""

import json

import cv2
import onnx
import openvino
import pytest

import pvt_edge
from pvt_edge.bundle.schema import ResizeSpec
from pvt_edge.runtimes.openvino import openvino_core
from pvt_edge.scenes import draw_scene


def onnx_metadata(path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def openvino_metadata(path, root: str) -> dict[str, str]:
    info = openvino_core().read_model(path).get_rt_info([root])
    values = info.astype(dict) if isinstance(info, openvino.OVAny) else info
    return {
        key: value.astype(str) if isinstance(value, openvino.OVAny) else str(value) for key, value in values.items()
    }


def what_it_says(bundle, artifact) -> tuple[dict[str, str], dict[str, str]]:
    """An artifact's metadata in our keys, and in Model API's."""
    path = bundle.folder / artifact.file
    if artifact.runtime != "onnxruntime":
        return openvino_metadata(path, "pvt_edge"), openvino_metadata(path, "model_info")
    found = onnx_metadata(path)
    return found, {key.removeprefix("model_info "): value for key, value in found.items() if "model_info" in key}


@pytest.fixture(scope="module")
def bundle(classifier, tmp_path_factory):
    """A classifier's bundle in every precision, ranges of two pictures."""
    folder = tmp_path_factory.mktemp("metadata")
    (folder / "calib").mkdir()
    for i in range(2):
        cv2.imwrite(str(folder / "calib" / f"{i}.png"), draw_scene(i, 120, 160).image)
    return pvt_edge.export_model(
        classifier, folder / "bundle",
        precisions=("fp32", "fp16", "int8"), imgsz=64, calib=folder / "calib", calib_n=2, allow_small=True, tune=False,
        max_drop=1, labels=["sea lion", *(f"class_{i}" for i in range(1, classifier.num_classes))],
        resize=ResizeSpec(mode="crop", interpolation="bilinear"),
    )  # fmt: skip


def test_every_file_says_what_it_is(bundle):
    assert {artifact.precision for artifact in bundle.manifest.artifacts} == {"fp32", "fp16", "int8"}
    for artifact in bundle.manifest.artifacts:
        ours, theirs = what_it_says(bundle, artifact)
        assert (ours["task"], ours["precision"], ours["activation"]) == ("classify", artifact.precision, "softmax")
        assert json.loads(ours["labels"])[:2] == ["sea lion", "class_1"]
        assert json.loads(ours["resize"])["mode"] == "crop"
        assert theirs["labels"].split()[:2] == ["sea_lion", "class_1"]
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
        assert wanted.items() <= theirs.items()


def test_a_detector_claims_no_wrapper_that_would_misread_it(cells_bundle):
    bundle = pvt_edge.read_bundle(cells_bundle)
    for artifact in bundle.manifest.artifacts:
        ours, theirs = what_it_says(bundle, artifact)
        assert json.loads(ours["postprocess"])["iou"] == 0.6
        keys = ("resize_type", "confidence_threshold", "iou_threshold", "pad_value")
        assert [theirs[key] for key in keys] == ["fit_to_window", "0.25", "0.6", "115"]
        assert theirs["labels"].split() == list(bundle.manifest.labels)
        assert "model_type" not in theirs
