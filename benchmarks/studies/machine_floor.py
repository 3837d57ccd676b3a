"""What this machine can do at best: matrix products in float32, bfloat16 and int8 under OpenVINO, and copying.

    .venv/bin/python benchmarks/studies/machine_floor.py --json benchmarks/results/machine_floor.json

The medians are floors to hold a model's time against: operations divided by the peak, bytes divided by the bandwidth.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import openvino
import openvino.opset13 as op
import typer

from pvt_edge.export.precision.placement import quantise_weight
from pvt_edge.export.precision.trial import has_bf16
from pvt_edge.export.provenance import cpu_name

SIDE, CHANNELS = 64, 1024  # a 1x1 convolution of a 64x64 map: a product of (4096, 1024) and (1024, 1024)
LAYERS = 8  # of it, one after the other, so that the input's conversion counts little


def main(json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None) -> None:
    """Measure, print, and record."""
    operations = 2 * SIDE * SIDE * CHANNELS * CHANNELS * LAYERS
    found = {"copy GB/s": round(copy_bandwidth() / 1e9, 1)}
    for kind in ("fp32", "bf16", "int8") if has_bf16() else ("fp32", "int8"):
        found[f"{kind} TOP/s"] = round(operations / median_seconds(products(kind)) / 1e12, 3)
    for key, value in found.items():
        print(f"{key:12} {value}")
    if json_path:
        machine = {"cpu": cpu_name(), "cores": os.cpu_count()}
        command = "python benchmarks/studies/machine_floor.py"
        json_path.write_text(json.dumps({"command": command, "machine": machine, **found}, indent=2) + "\n")


def products(kind: str) -> Callable[[], object]:
    """A run of `LAYERS` products in that precision."""
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
    hint = {"INFERENCE_PRECISION_HINT": "f32" if kind == "fp32" else "bf16" if has_bf16() else "f32"}
    request = (
        openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", **hint}).create_infer_request()
    )
    feed = rng.random((1, CHANNELS, SIDE, SIDE), np.float32)
    return lambda: request.infer([feed], share_inputs=True, share_outputs=True)


def copy_bandwidth(size: int = 128 << 20) -> float:
    """Bytes copied per second by all cores together, out of cache; read and written bytes count once."""
    threads = os.cpu_count() or 1
    source = np.ones(size, np.uint8)
    target = np.zeros(size, np.uint8)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        return size / median_seconds(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)))


def median_seconds(run: Callable[[], object], runs: int = 30) -> float:
    """The median time of `run`, after three to warm up."""
    times = []
    for i in range(runs + 3):
        started = time.perf_counter()
        run()
        if i >= 3:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    typer.run(main)
