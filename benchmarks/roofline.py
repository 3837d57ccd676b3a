"""The floor under a row: what a graph's operations and bytes take at the peaks of this machine."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.benchmarks.record import Floor, Peaks
from pvt_edge.benchmarks.rows import Plan
from pvt_edge.machine.cpu import usable_cores
from pvt_edge.runtimes import missing
from pvt_edge.runtimes.openvino import openvino_core

if TYPE_CHECKING:
    import openvino

_MULTIPLIED = ("Convolution", "GroupConvolution", "MatMul")
# What stands between a quantiser and the layer that reads it.
_PASSED = ("Convert", "Multiply", "Subtract", "Reshape", "Transpose", "Squeeze", "Unsqueeze")
_FLOAT_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}
SIDE, CHANNELS = 64, 1024  # a 1x1 convolution of a 64x64 map: a product of (4096, 1024) and (1024, 1024)
LAYERS = 4  # of it, one after the other, so that the input's conversion counts little
OPERATIONS = 2 * SIDE * SIDE * CHANNELS * CHANNELS * LAYERS
_COPY_BYTES = 128 << 20


@dataclass(frozen=True)
class GraphCosts:
    """Of one call: multiply-adds in all and in INT8, weights of both kinds, bytes in and out."""

    macs: int
    int8_macs: int
    float_weights: int
    int8_weights: int
    io_bytes: int

    def weight_bytes(self, float_precision: str) -> int:
        """Of the weights, with what is float held in that precision."""
        return self.int8_weights + self.float_weights * _FLOAT_BYTES[float_precision]


def read_costs(path: str | Path, batch: int) -> GraphCosts:
    """The costs of an ONNX file or an IR at that batch; the products of attention count (FACTS of PVT-v2: 0.57 G for
    B0 at 224x224). Needs OpenVINO, which reads both."""
    model = openvino_core().read_model(path)
    taken = model.inputs[0].get_partial_shape()
    if taken.is_dynamic:
        taken[0] = batch
        model.reshape(taken)
    return graph_costs(model)


def graph_costs(model: "openvino.Model") -> GraphCosts:
    """The costs of a model of static shapes."""
    macs = int8_macs = float_weights = int8_weights = 0
    for op in model.get_ordered_ops():
        if op.get_type_name() not in _MULTIPLIED:
            continue
        count = _macs(op)
        weights = _constant_elements(op.input_value(1).get_node())
        macs += count
        if _is_quantised(op.input_value(0)):
            int8_macs += count
            int8_weights += weights
        else:
            float_weights += weights
    ports = [*model.inputs, *model.outputs]
    io_bytes = sum(prod(port.get_shape()) * port.get_element_type().size for port in ports)
    return GraphCosts(macs, int8_macs, float_weights, int8_weights, io_bytes)


def _macs(op: "openvino.Node") -> int:
    """Outputs times what each is a sum of."""
    outputs = prod(op.output(0).get_shape())
    kind = op.get_type_name()
    weight = list(op.input_value(1).get_shape())
    if kind == "Convolution":  # (out, in, kh, kw)
        return outputs * prod(weight[1:])
    if kind == "GroupConvolution":  # (groups, out, in, kh, kw)
        return outputs * prod(weight[2:])
    first = list(op.input_value(0).get_shape())
    return outputs * int(first[-2] if op.get_attributes()["transpose_a"] else first[-1])


def _constant_elements(node: "openvino.Node") -> int:
    """Elements of the weight that `node` is, past what unpacks it; none where it is computed."""
    from pvt_edge.export.precision.layers import is_constant

    if not is_constant(node):
        return 0
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return prod(node.output(0).get_shape())


def _is_quantised(value: "openvino.Output") -> bool:
    node = value.get_node()
    while node.get_type_name() in _PASSED and node.input_values():
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "FakeQuantize")


def measure_peaks(threads: int | None = None, *, seconds: float = 1.0) -> Peaks:
    """The best of about `seconds` of each precision that this CPU runs, and of copying."""
    from pvt_edge.export.precision.trial import has_bf16

    kinds = ("fp32", "bf16", "int8") if has_bf16() else ("fp32", "int8")
    return Peaks(
        threads=threads or usable_cores(),
        tera_operations={
            kind: round(OPERATIONS / least_seconds(products(kind, threads), seconds) / 1e12, 4) for kind in kinds
        },
        copy_gb_per_second=round(copy_bandwidth(threads, seconds=seconds) / 1e9, 2),
    )


def products(kind: str, threads: int | None = None) -> Callable[[], object]:
    """A run of `LAYERS` products in that precision: `OPERATIONS` operations."""
    import openvino
    import openvino.opset13 as op

    from pvt_edge.export.precision.placement import quantise_weight
    from pvt_edge.export.precision.trial import has_bf16

    rng = np.random.default_rng(0)
    image = op.parameter([1, CHANNELS, SIDE, SIDE], np.float32)
    x: Any = image
    for _ in range(LAYERS):
        weight = (rng.standard_normal((CHANNELS, CHANNELS, 1, 1)) / CHANNELS**0.5).astype(np.float32)
        kernel: Any = op.constant(weight)
        if kind == "int8":
            values, scale = quantise_weight(weight, 0)
            kernel = op.multiply(op.convert(op.constant(values), np.float32), op.constant(scale))
            low, high = (op.constant(np.full((1, 1, 1, 1), bound, np.float32)) for bound in (0.0, 4.0))
            x = op.fake_quantize(x, low, high, low, high, 256)
        x = op.relu(op.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1]))
    model = openvino.Model([op.result(x)], [image], "products")
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32" if kind == "fp32" else "bf16" if has_bf16() else "f32",
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    request = openvino_core().compile_model(model, "CPU", options).create_infer_request()
    feed = rng.random((1, CHANNELS, SIDE, SIDE), np.float32)
    return lambda: request.infer([feed], share_inputs=True, share_outputs=True)


def copy_bandwidth(threads: int | None = None, *, seconds: float = 1.0) -> float:
    """Bytes moved per second by all threads together, out of cache: those read and those written."""
    count = threads or usable_cores()
    source = np.ones(_COPY_BYTES, np.uint8)
    target = np.zeros(_COPY_BYTES, np.uint8)
    parts = list(zip(np.array_split(source, count), np.array_split(target, count), strict=True))
    with ThreadPoolExecutor(count) as pool:
        return (
            2
            * _COPY_BYTES
            / least_seconds(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)), seconds)
        )


def least_seconds(run: Callable[[], object], seconds: float, *, least_runs: int = 5) -> float:
    """The shortest time of `run` in about `seconds`, after two to warm up: a peak is what was reached once."""
    run()
    run()
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < least_runs or time.perf_counter() - started < seconds:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def find_costs(plans: Sequence[Plan]) -> dict[str, GraphCosts]:
    """What the graph of each row's file costs, by the row's name; nothing where OpenVINO is not here to read them."""
    if missing("openvino") is not None:
        return {}
    found: dict[tuple[str, int], GraphCosts] = {}
    costs = {}
    for plan in plans:
        if plan.opening is None or plan.opening.path is None or plan.opening.on_gpu:
            continue
        key = plan.opening.path, plan.row.batch
        try:
            found[key] = found.get(key) or read_costs(*key)
        except RuntimeError:  # what OpenVINO cannot read has no floor
            continue
        costs[plan.name] = found[key]
    return costs


def find_floor(costs: GraphCosts, peaks: Peaks, *, precision: str, float_precision: str, p50_ms: float) -> Floor | None:
    """The larger of arithmetic at the peak and weights, input and outputs through main memory once.

    `precision` is the row's; what an int8 row keeps float runs in `float_precision`. None where no peak was measured
    for it. Activations are left out, as they may stay in the caches: no run can be faster than this, unless the
    weights themselves stay there.
    """
    tops = peaks.tera_operations
    if float_precision not in tops or (precision == "int8" and "int8" not in tops):
        return None
    int8_macs = costs.int8_macs if precision == "int8" else 0
    arithmetic_ms = 2e-9 * ((costs.macs - int8_macs) / tops[float_precision] + int8_macs / tops.get("int8", 1.0))
    memory_ms = (costs.weight_bytes(float_precision) + costs.io_bytes) / peaks.copy_gb_per_second / 1e6
    floor_ms = max(arithmetic_ms, memory_ms)
    return Floor(
        floor_ms=round(floor_ms, 4),
        bound="arithmetic" if arithmetic_ms >= memory_ms else "memory",
        distance=round(p50_ms / floor_ms, 3),
    )
