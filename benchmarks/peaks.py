"""What this machine can do at best: matrix products in each precision under OpenVINO, and copying."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pvt_edge.benchmarks.record import Peaks
from pvt_edge.machine.cpu import usable_cores
from pvt_edge.runtimes.openvino_core import openvino_core

SIDE, CHANNELS = 64, 1024  # a 1x1 convolution of a 64x64 map: a product of (4096, 1024) and (1024, 1024)
LAYERS = 4  # of it, one after the other, so that the input's conversion counts little
OPERATIONS = 2 * SIDE * SIDE * CHANNELS * CHANNELS * LAYERS
_COPY_BYTES = 128 << 20


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
