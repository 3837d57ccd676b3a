"""Pictures to verify on, a small classifier's bundle and a segmenter's."""

from pathlib import Path

import cv2
import pytest

import pvt_edge
from pvt_edge.scenes import CLASSES, draw_scene, write_scenes
from pvt_edge.weights import BUNDLED

FIRST_SCENE = 8_100  # neither trained nor calibrated on


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """A folder of three drawn scenes, 480x640."""
    folder = tmp_path_factory.mktemp("verify-scenes")
    for i in range(3):
        cv2.imwrite(str(folder / f"scene_{i}.png"), draw_scene(FIRST_SCENE + i).image)
    return folder


@pytest.fixture(scope="session")
def classify_bundle(tmp_path_factory) -> Path:
    """A b0 classifier of 10 classes at 64x64, random in every tensor, in ONNX and OpenVINO."""
    from ..made import build

    out = tmp_path_factory.mktemp("verify-bundle") / "animals"
    pvt_edge.export_model(build("classify", "b0", classes=10), out, imgsz=(64, 64))
    return out


@pytest.fixture(scope="session")
def cells_seg_bundle(tmp_path_factory) -> Path:
    """The bundled segmenter, small, in FP32 and INT8: as weights of one's own, whose accuracy is not measured."""
    calib, out = tmp_path_factory.mktemp("verify-calib"), tmp_path_factory.mktemp("verify-segment") / "cells-seg"
    write_scenes(calib, 16, seed=5)
    model = pvt_edge.create_model("b0", "segment", len(CLASSES), head="lite")
    pvt_edge.load_weights(model, BUNDLED["cells-seg"].path)
    given = {"imgsz": (192, 256), "calib": calib / "images", "labels": CLASSES, "max_drop": 0.2}
    pvt_edge.export_model(model, out, precisions=("fp32", "int8"), tune="off", **given)
    return out
