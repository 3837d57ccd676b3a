"""Latency of a bundle's precisions under OpenVINO: interleaved rounds, medians, no outlier removed.

    .venv/bin/python benchmarks/studies/bundle_latency.py out/demo/b0 --json benchmarks/results/cells_latency.json

Inference only, batch 1, one generated scene. Compare the ratios: absolute times are this machine's, that day's.
"""

import json
import os
import statistics
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pvt_edge import load
from pvt_edge.export.provenance import cpu_name
from pvt_edge.scenes import draw_scene

PRECISIONS = ("fp32", "bf16", "int8")
ROUND = 10  # inferences of one precision before the next has its turn


def main(
    bundle: Annotated[Path, typer.Argument(help="The folder an export wrote.")],
    rounds: Annotated[int, typer.Option(min=2, help="Rounds of 10 inferences for each precision.")] = 20,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Measure every precision of the bundle in one run."""
    predictors = {p: load(bundle, "openvino", precision=p) for p in PRECISIONS}
    spec = predictors["fp32"].manifest.input
    image = draw_scene(0, spec.height, spec.width).image
    feeds = {spec.name: np.repeat(image[None], spec.batch, axis=0)}
    times_ms: dict[str, list[float]] = {p: [] for p in PRECISIONS}
    for number in range(rounds + 1):
        for precision, predictor in predictors.items():
            for _ in range(ROUND):
                started = time.perf_counter()
                predictor.runtime.infer(feeds)
                if number:  # the first round warms up
                    times_ms[precision].append((time.perf_counter() - started) * 1e3)
    rows = {p: _percentiles(values) for p, values in times_ms.items()}
    for precision, row in rows.items():
        ratio = rows["fp32"]["p50"] / row["p50"]
        print(f"{precision:5} p50 {row['p50']:6.1f}  p90 {row['p90']:6.1f}  p99 {row['p99']:6.1f} ms  {ratio:.2f}x")
    if json_path:
        command = f"python benchmarks/studies/bundle_latency.py BUNDLE --rounds {rounds}"
        machine = {"cpu": cpu_name(), "cores": os.cpu_count()}
        content = {"command": command, "machine": machine, "ms": rows, "inferences": rounds * ROUND}
        json_path.write_text(json.dumps(content, indent=2) + "\n")


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 2), "p90": round(cuts[89], 2), "p99": round(cuts[98], 2)}


if __name__ == "__main__":
    typer.run(main)
