"""What INT8 gains in ONNX Runtime, and where the time goes: its form of the graph against the quantisers of OpenVINO's.

    .venv/bin/python benchmarks/studies/ort_int8_graph.py --json benchmarks/results/ort_int8_graph.json

Three models: `cells` at 480x640, B0 and B2 classify at 224 (weights random, no claim of accuracy), no approximations.
Each as fp32, as `quantisers moved on` (int8 inputs of the layers of the recorded placement, as OpenVINO fuses them and
as TensorRT takes them), as INT8 is written (`onnx_int8`), with all linears in it, and its float graph. Batch 1, one
thread, in turns; milliseconds of that thread's CPU time, which others who use the machine disturb least. By kind of
kernel: ONNX Runtime's own profile, by the clock, medians, which does not add up to the whole.
"""

import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import onnx
import onnxruntime
import torch
import typer
from int8_routes import b2_classify, cells, moved
from recording import write_record

import pvt_edge
from pvt_edge.export.graph import INPUT_NAME, DeployGraph, Target
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision.extremes import float_activations, layer_ranges, observe_extremes, placeable_blocks
from pvt_edge.export.precision.onnx_int8 import to_onnx_int8
from pvt_edge.export.precision.qdq import add_qdq
from pvt_edge.export.precision.recipes import RECIPES, RECORDED
from pvt_edge.scenes import draw_scene

CALIBRATION = 4
PROFILED = 8  # runs
FLOAT_IN_OPENVINO = ".attn.sr"  # of stage 1 of a B0: OpenVINO miscounts it, so that no plan holds it


def b0_classify() -> tuple[torch.nn.Module, tuple[int, int]]:
    """B0, 1000 classes."""
    return moved(pvt_edge.create_model("b0", "classify")), (224, 224)


CASES: dict[str, Callable[[], tuple[torch.nn.Module, tuple[int, int]]]] = {
    "cells": cells,
    "b0-classify": b0_classify,
    "b2-classify": b2_classify,
}


def main(
    case: Annotated[
        list[str] | None, typer.Option(help="Among cells, b0-classify, b2-classify; all by default.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of timing, for each model.")] = 60,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Time each model in every form, profile two, print and record."""
    results: dict[str, Any] = {}
    for name in case or CASES:
        torch.manual_seed(0)
        model, imgsz = CASES[name]()
        with tempfile.TemporaryDirectory() as folder:
            files = write_forms(model, imgsz, Path(folder))
            results[name] = {
                "imgsz": imgsz,
                "times": timed(files, imgsz, seconds),
                "ms by kind of kernel": {form: profile(files[form], imgsz) for form in ("fp32", "int8")},
            }
        print(name, json.dumps(results[name], indent=2), flush=True)
    write_record(json_path, f"python benchmarks/studies/ort_int8_graph.py --seconds {seconds:g}", {"cases": results})


def write_forms(model: Any, imgsz: tuple[int, int], folder: Path) -> dict[str, Path]:
    """The files to compare, by what they are."""
    batches = [draw_scene(i, *imgsz).image[None] for i in range(CALIBRATION)]
    plain, rows = (
        trace(model, imgsz, folder / f"{target}.onnx", target) for target in ("onnxruntime", "onnxruntime-int8")
    )
    narrow = model.backbone.variant.dims[0] < 64
    known = [
        b
        for b in placeable_blocks(plain)
        if not (narrow and b.startswith("stages.0.") and b.endswith(FLOAT_IN_OPENVINO))
    ]
    recorded, linear = RECORDED.blocks(known), RECIPES[3].blocks(known)
    ranges = layer_ranges(plain, observe_extremes(plain, float_activations(plain), batches))
    forms = {
        "fp32": plain,
        "quantisers moved on": add_qdq(plain, recorded, ranges),
        "int8": to_onnx_int8(rows, recorded, batches),
        "int8, all linears": to_onnx_int8(rows, linear, batches),
        "fp32 on rows": rows,
    }
    for name, form in forms.items():
        onnx.save(form, str(folder / f"{name}.onnx"))
    return {name: folder / f"{name}.onnx" for name in forms}


def trace(model: Any, imgsz: tuple[int, int], path: Path, target: Target) -> onnx.ModelProto:
    """The float graph of `model`, shaped for `target`."""
    export_onnx(DeployGraph(model, imgsz, target=target), path)
    return onnx.load(str(path))


def session(path: Path, **options: Any) -> onnxruntime.InferenceSession:
    """`path` on one thread."""
    given = onnxruntime.SessionOptions()
    given.intra_op_num_threads = 1
    for name, value in options.items():
        setattr(given, name, value)
    return onnxruntime.InferenceSession(str(path), given, providers=["CPUExecutionProvider"])


def timed(files: dict[str, Path], imgsz: tuple[int, int], seconds: float) -> dict[str, dict[str, float]]:
    """Medians of CPU time, and of the ratios to fp32 in one turn."""
    sessions = {name: session(path) for name, path in files.items()}
    feeds = {INPUT_NAME: draw_scene(0, *imgsz).image[None]}
    turns: dict[str, list[float]] = {name: [] for name in sessions}
    for opened in sessions.values():
        opened.run(None, feeds)
    started = time.perf_counter()
    while not turns["fp32"] or time.perf_counter() - started < seconds:
        for name, opened in sessions.items():
            begun = time.thread_time()
            opened.run(None, feeds)
            turns[name].append((time.thread_time() - begun) * 1e3)
    base = turns["fp32"]
    return {
        name: {
            "ms": round(statistics.median(times), 2),
            "least ms": round(min(times), 2),
            "times faster than fp32": round(statistics.median(a / b for a, b in zip(base, times, strict=True)), 3),
            "runs": len(times),
        }
        for name, times in turns.items()
    }


def profile(path: Path, imgsz: tuple[int, int]) -> dict[str, dict[str, float]]:
    """By kind of kernel, how many there are and their milliseconds, the slowest kind first."""
    opened = session(path, enable_profiling=True, profile_file_prefix=str(path.parent / "profile"))
    for _ in range(PROFILED):
        opened.run(None, {INPUT_NAME: draw_scene(0, *imgsz).image[None]})
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in json.loads(Path(opened.end_profiling()).read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["args"]["op_name"], event["name"]].append(event["dur"] / 1e3)
    kinds: dict[str, list[float]] = defaultdict(list)
    for (kind, _), found in times.items():
        kinds[kind].append(statistics.median(found))
    ordered = sorted(kinds.items(), key=lambda row: -sum(row[1]))
    return {kind: {"nodes": len(found), "ms": round(sum(found), 2)} for kind, found in ordered}


if __name__ == "__main__":
    typer.run(main)
