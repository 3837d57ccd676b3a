"""The bundled weights on real microscope images they never saw."""

from functools import cache

import pytest

import pvt_edge
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.evaluation.evaluate import evaluate
from pvt_edge.runtimes import missing


@pytest.fixture(scope="module")
def accuracy(cells_bundle, bccd):
    """COCO AP on the val split by precision, as `val` has it."""

    @cache
    def measure(precision: str) -> dict[str, float]:
        data, images = bccd / "instances_val.json", bccd / "images"
        return evaluate(cells_bundle, data, images, runtime="openvino", precision=precision).rows[0].figures

    return measure


def test_fp32_on_real_images(accuracy):
    metrics = accuracy("fp32")
    assert metrics["AP"] >= 0.56
    assert metrics["AP50"] >= 0.87


def test_int8_on_real_images(accuracy):
    assert accuracy("int8")["AP"] >= accuracy("fp32")["AP"] - 0.010


def test_bf16_on_real_images(accuracy, cells_bundle):
    if missing("openvino"):
        pytest.skip(missing("openvino"))
    try:
        pvt_edge.load(cells_bundle, runtime="openvino", precision="bf16").close()
    except pvt_edge.PvtEdgeError as error:
        pytest.skip(str(error))
    assert accuracy("bf16")["AP"] == pytest.approx(accuracy("fp32")["AP"], abs=0.005)


def test_thresholds_in_the_sidecar(cells_bundle):
    assert pvt_edge.read_bundle(cells_bundle).manifest.postprocess == PostprocessSpec(conf=0.25, iou=0.6, max_det=100)
