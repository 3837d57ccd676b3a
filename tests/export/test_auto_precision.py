"""What "auto" takes: the fastest of what holds the budget and lies within verify's tolerance."""

import pytest

from pvt_edge.bundle.schema import AccuracyRecord
from pvt_edge.export.auto_precision import choose_auto, find_excluded, rank_onnx
from pvt_edge.export.precision.record import Latency
from pvt_edge.export.precision.verdict import onnx_verdict

from .report.searches import search

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


FASTER, SLOWER = {"fp32": 18.6, "int8": 12.0}, {"fp32": 18.6, "int8": 20.1}


@pytest.mark.parametrize(
    ("measured", "order", "told"),
    [
        ({}, ["fp32", "int8"], None),
        (FASTER, ["int8", "fp32"], "in ONNX Runtime int8 12.0 ms, fp32 18.6 ms (p50): 1.55 times faster"),
        (SLOWER, ["fp32", "int8"], "in ONNX Runtime int8 20.1 ms, fp32 18.6 ms (p50): not faster here"),
    ],
)
def test_what_onnx_runtime_runs_faster(measured, order, told):
    timed = {key: Latency(p50=ms, p90=ms, p99=ms, inferences=9) for key, ms in measured.items()}
    assert rank_onnx(("int8", "fp32"), timed) == order
    assert onnx_verdict(search(onnx_latency=timed)) == told
