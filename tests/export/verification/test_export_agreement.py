"""The short verification at the end of an export."""

import numpy as np
import pytest

import pvt_edge
from pvt_edge.bundle.schema import Artifact
from pvt_edge.errors import ExportError
from pvt_edge.export.agreement import agreement_lines, measure_agreement

from .faults import copy_bundle, plant, poison, transpose

FILE = "model.fp32.onnx"


def test_a_classifier_is_compared_with_the_trained_model(classify_bundle):
    manifest = pvt_edge.read_bundle(classify_bundle).manifest
    assert manifest.agreement.data == "4 pictures of generated scenes"
    assert {"onnxruntime-fp32", "openvino-fp32"} <= manifest.agreement.metrics.keys()
    for name in ("onnxruntime-fp32", "openvino-fp32"):
        figures = manifest.agreement.metrics[name]
        assert figures["top1"] == 1
        assert figures["cosine"] > 0.9999999
    assert all(within for _, within in agreement_lines(manifest))


def test_a_detector_that_detects_is_compared(cells_bundle):
    manifest = pvt_edge.read_bundle(cells_bundle).manifest
    lines = agreement_lines(manifest)
    assert {"openvino int8", "onnxruntime int8", "onnxruntime fp32"} <= {line.partition(":")[0] for line, _ in lines}
    assert all(within for _, within in lines), lines
    assert 0 < manifest.agreement.metrics["openvino-int8"]["box_px"] < 1


@pytest.fixture
def measure(classify_bundle, tmp_path):
    """The figures of a copy with a fault, against the sound bundle's own answers."""
    inputs = [np.random.default_rng(i).integers(0, 255, (1, 64, 64, 3), np.uint8) for i in range(2)]
    with pvt_edge.runtimes.open_runtime("onnxruntime", classify_bundle / FILE) as sound:
        expected = [sound.infer({"images": image}) for image in inputs]
    artifact = Artifact(file=FILE, sha256="0" * 64, bytes=0, runtime="onnxruntime", precision="fp32")

    def run(fault):
        copy = plant(copy_bundle(classify_bundle, tmp_path / "copy", FILE), FILE, fault)
        return measure_agreement(
            [artifact], copy.joinpath, inputs, expected, task="classify", post=None, source="noise"
        )

    return run


def test_a_fault_is_told(measure, classify_bundle):
    record = measure(transpose("stages.0.blocks.0.attn.proj"))
    manifest = pvt_edge.read_bundle(classify_bundle).manifest.model_copy(update={"agreement": record})
    ((line, within),) = agreement_lines(manifest)
    assert line.startswith("onnxruntime fp32: top-1 agreement ")
    assert not within


def test_nan_ends_the_export(measure):
    with pytest.raises(ExportError, match="logits not finite"):
        measure(poison("stages.3.blocks.0.mlp.fc1.bias"))


def test_nothing_detected_is_no_record():
    assert measure_agreement([], lambda file: file, [], [], task="detect", post=None, source="nothing") is None
