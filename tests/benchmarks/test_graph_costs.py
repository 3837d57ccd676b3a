"""Multiply-adds by hand and by the paper; the same of a model's ONNX and OpenVINO files."""

import numpy as np
import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")

import openvino
import openvino.opset13 as op

from pvt_edge.benchmarks.record import Peaks
from pvt_edge.benchmarks.roofline import find_floor, graph_costs, read_costs


def constant(*shape):
    return op.constant(np.ones(shape, np.float32))


def test_a_graph_of_nothing():
    image = op.parameter([1, 4], np.float32)
    costs = graph_costs(openvino.Model([op.result(op.relu(image))], [image], "empty"))
    assert (costs.macs, costs.float_weights, costs.io_bytes) == (0, 0, 32)


def test_by_hand():
    image = op.parameter([1, 3, 8, 8], np.uint8)
    x = op.convolution(op.convert(image, np.float32), constant(4, 3, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    x = op.group_convolution(x, constant(4, 2, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    tokens = op.reshape(x, op.constant(np.array([1, 8, 64])), special_zero=False)  # (1, 8, 64)
    scores = op.matmul(tokens, tokens, transpose_a=True, transpose_b=False)  # (1, 64, 64), over 8 channels
    low, high = (op.constant(np.full((1, 1, 1), bound, np.float32)) for bound in (0.0, 1.0))
    y = op.matmul(op.fake_quantize(scores, low, high, low, high, 256), constant(64, 5), False, False)
    costs = graph_costs(openvino.Model([op.result(y)], [image], "small"))
    conv, depthwise, products, linear = 64 * 4 * 27, 64 * 8 * 9, 64 * 64 * 8, 64 * 5 * 64
    assert costs.macs == conv + depthwise + products + linear
    assert (costs.int8_macs, costs.int8_weights) == (linear, 64 * 5)
    assert costs.float_weights == 4 * 27 + 8 * 9
    assert costs.io_bytes == 3 * 64 + 4 * 64 * 5
    assert costs.weight_bytes("bf16") == 64 * 5 + 2 * (4 * 27 + 8 * 9)


def test_b0_has_the_papers_count(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import pvt_edge
    from pvt_edge.export.stock import StockGraph, export_stock_onnx

    torch.manual_seed(0)
    graph = StockGraph(pvt_edge.create_model("b0"), (224, 224))
    path = export_stock_onnx(graph, tmp_path / "b0.onnx", imgsz=(224, 224))
    assert read_costs(path, 1).macs == pytest.approx(0.57e9, rel=0.01)  # timm's csv; 0.53 without attention


def test_both_files_of_a_bundle_cost_the_same(cells_bundle):
    names = ("model.fp32.onnx", "openvino/fp32.xml", "model.int8.onnx", "openvino/int8.xml")
    onnx, ir, onnx_int8, ir_int8 = (read_costs(cells_bundle / name, 1) for name in names)
    assert ir.macs == pytest.approx(onnx.macs, rel=0.03)
    assert (onnx.int8_macs, ir.int8_macs) == (0, 0)
    assert onnx_int8.int8_macs == ir_int8.int8_macs > 0.5 * ir.macs
    assert ir_int8.macs == ir.macs


PEAKS = Peaks(threads=2, tera_operations={"fp32": 0.1, "int8": 0.4}, copy_gb_per_second=10.0)


def test_floors():
    image = op.parameter([1, 1000], np.float32)
    costs = graph_costs(openvino.Model([op.result(op.matmul(image, constant(1000, 500), False, False))], [image], "l"))
    memory_ms = (500_000 * 4 + 6000) / 10e9 * 1e3
    floor = find_floor(costs, PEAKS, precision="fp32", float_precision="fp32", p50_ms=1.0)
    assert floor.bound == "memory"
    assert floor.floor_ms == pytest.approx(memory_ms, abs=1e-4)
    assert floor.distance == pytest.approx(1 / memory_ms, rel=1e-3)
    slow = PEAKS.model_copy(update={"tera_operations": {"fp32": 1e-3}})
    floor = find_floor(costs, slow, precision="fp32", float_precision="fp32", p50_ms=2.0)
    assert (floor.bound, floor.floor_ms, floor.distance) == ("arithmetic", 1.0, 2.0)
    assert find_floor(costs, PEAKS, precision="bf16", float_precision="bf16", p50_ms=1.0) is None
    assert find_floor(costs, slow, precision="int8", float_precision="fp32", p50_ms=1.0) is None
