"""Pictures to verify on, and a small classifier's bundle."""

from pathlib import Path

import cv2
import pytest

import pvt_edge
from pvt_edge.scenes import draw_scene

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
