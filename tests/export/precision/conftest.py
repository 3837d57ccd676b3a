"""The models that these tests place INT8 in, made once a session; none of them may be changed."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
pytest.importorskip("openvino", reason="OpenVINO is not installed")

from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.openvino import own_biases, read_model
from pvt_edge.export.precision.layers import observe
from pvt_edge.variants import get_variant

from ..made import build
from .network import network

IMGSZ = (64, 96)
SHORT = {"depths": (1, 1, 1, 1)}


def read(path: Path):
    model = read_model(path)
    own_biases(model)
    return model


@pytest.fixture(scope="session")
def tiny_classifier():
    """A b0 classifier of one block a stage and three classes."""
    return build("classify", replace(get_variant("b0"), **SHORT))


@pytest.fixture(scope="session")
def tiny(tiny_classifier, tmp_path_factory):
    """The tiny classifier in the form that OpenVINO gets."""
    path = tmp_path_factory.mktemp("tiny") / "model.onnx"
    export_onnx(DeployGraph(tiny_classifier, IMGSZ, target="openvino"), path)
    return read(path)


@pytest.fixture(scope="session")
def tiny_ranges(tiny, scenes):
    return observe(tiny, scenes, "images")


@pytest.fixture(scope="session")
def dynamic_onnx(tiny_classifier, tmp_path_factory) -> Path:
    """The tiny classifier in the form that ONNX Runtime gets, for any batch."""
    path = tmp_path_factory.mktemp("dynamic") / "model.onnx"
    export_onnx(DeployGraph(tiny_classifier, IMGSZ), path, dynamic_batch=True)
    return path


@pytest.fixture(scope="session")
def dynamic(dynamic_onnx):
    """The same file, read by OpenVINO."""
    return read(dynamic_onnx)


@pytest.fixture(scope="session")
def dynamic_ranges(dynamic, scenes):
    return observe(dynamic, scenes, "images")


@pytest.fixture(scope="session")
def detector(lite_onnx):
    """The b0 lite detector in the form that ONNX Runtime gets, read by OpenVINO."""
    return read(lite_onnx)


@pytest.fixture(scope="session")
def detector_ranges(detector, scenes):
    return observe(detector, scenes, "images")


@pytest.fixture(scope="session")
def pooled(tmp_path_factory):
    """Feature maps of a b2-li of one block a stage, in the form that OpenVINO gets."""
    path = tmp_path_factory.mktemp("pooled") / "model.onnx"
    model = build("features", replace(get_variant("b2-li"), **SHORT))
    export_onnx(DeployGraph(model, IMGSZ, target="openvino"), path)
    return read(path)


@pytest.fixture(scope="session")
def small():
    """One block on a map of 4x6, ten blocks to quantise."""
    return network()


@pytest.fixture(scope="session")
def small_ranges(small, scenes):
    return observe(small, scenes, "images")
