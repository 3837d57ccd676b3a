"""What "auto" takes: the fastest of what holds the budget and lies within verify's tolerance."""

import pytest

from pvt_edge.bundle.schema import AccuracyRecord
from pvt_edge.export.auto_precision import choose_auto, find_excluded

SOUND = {"f1": 0.999, "box_px": 0.1, "score_drift": 1e-3}
LOST = {"f1": 0.9, "box_px": 0.1, "score_drift": 1e-3}


def agreement(**metrics):
    return AccuracyRecord(
        data="4 pictures", metrics={name.replace("_", "-"): figures for name, figures in metrics.items()}
    )


@pytest.mark.parametrize(
    ("measured", "over_budget", "graphs", "excluded"),
    [
        (None, {}, (), set()),
        (agreement(openvino_bf16=SOUND, openvino_int8=SOUND), {}, (), set()),
        (agreement(openvino_bf16=LOST, openvino_int8=SOUND), {}, (), {"openvino-bf16"}),
        (agreement(openvino_bf16=SOUND), {"openvino-bf16": "loses 0.0312"}, (), {"openvino-bf16"}),
        (agreement(onnxruntime_fp16=LOST), {}, ("fp16",), {"onnxruntime-fp16", "tensorrt-fp16", "tensorrt-rtx-fp16"}),
        (agreement(onnxruntime_fp16=SOUND), {}, ("fp16",), set()),
    ],
)
def test_what_is_excluded(measured, over_budget, graphs, excluded):
    found = find_excluded("detect", measured, over_budget, graphs)
    assert set(found) == excluded
    assert all(found.values())


def test_both_reasons_are_said():
    found = find_excluded("detect", agreement(openvino_bf16=LOST), {"openvino-bf16": "loses 0.0312"}, ())
    assert "loses 0.0312" in found["openvino-bf16"]
    assert "F1" in found["openvino-bf16"]


@pytest.mark.parametrize(
    ("excluded", "chosen"),
    [
        ((), {"openvino": "int8", "onnxruntime": "fp32"}),
        (("openvino-int8",), {"openvino": "bf16", "onnxruntime": "fp32"}),
        (("openvino-int8", "openvino-bf16"), {"openvino": "fp32", "onnxruntime": "fp32"}),
        (("onnxruntime-fp32",), {"openvino": "int8"}),
    ],
)
def test_the_fastest_that_is_allowed(excluded, chosen):
    preferred = {"openvino": ("int8", "bf16", "fp32"), "onnxruntime": ("fp32",)}
    assert choose_auto(preferred, dict.fromkeys(excluded, "why")) == chosen
