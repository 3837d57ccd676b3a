"""What moves gain: exact against pooled and left out, per runtime and precision, in one run.

    .venv/bin/python benchmarks/studies/approximations.py --json benchmarks/results/approximations.json

Three models: `cells` at 480x640 with the moves of `CELLS`, whose accuracy docs/approximations.md states; B2 classify at
224 and mmdet-style RetinaNet-B0 (256x4 head, 80 classes) at 640 with those of `pvt_edge.moves.RECIPE`, weights random
and no claim of accuracy made. INT8 is the recorded placement, not searched. Batch 1, one generated scene, exact and
approximate in turns; compare the ratios. With TensorRT-RTX installed, what it builds of `cells` in FP16, too; it builds
without a GPU.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from engine_layers import summary
from int8_routes import CASES
from recording import write_record

import pvt_edge
from pvt_edge.export.graph import INPUT_NAME, DeployGraph, Target
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.openvino import own_biases, read_model
from pvt_edge.export.precision.layers import find_blocks, observe
from pvt_edge.export.precision.placement import place
from pvt_edge.export.precision.recipes import RECIPES
from pvt_edge.export.precision.trial import Trial, has_bf16, measure
from pvt_edge.models.table import apply_moves
from pvt_edge.moves import NONE, RECIPE, Moves, read_moves
from pvt_edge.runtimes import open_runtime
from pvt_edge.runtimes.tensorrt_library import load_library
from pvt_edge.scenes import draw_scene

CALIBRATION = 8
CELLS: Moves = RECIPE | read_moves(
    {
        "stages.0.blocks.1.mlp": {"leave_out": True},
        "stages.3.blocks.0.mlp": {"leave_out": True},
        "stages.3.blocks.1.attn": {"leave_out": True},
    }
)


def main(
    case: Annotated[
        list[str] | None, typer.Option(help="Among cells, b2-classify, retinanet-b0; all by default.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of timing, for each model and runtime.")] = 30,
    target: Annotated[str, typer.Option(help="The GPU that TensorRT-RTX builds for.")] = "sm86",
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Time every model both ways, print and record milliseconds and ratios."""
    results: dict[str, Any] = {}
    for name in case or CASES:
        torch.manual_seed(0)
        model, imgsz = CASES[name]()
        with tempfile.TemporaryDirectory() as folder:
            results[name] = compare(model, imgsz, CELLS if name == "cells" else RECIPE, Path(folder), seconds)
            if name == "cells":
                results[name]["tensorrt-rtx fp16"] = engines(model, imgsz, Path(folder), target)
        print(name, results[name], flush=True)
    command = f"python benchmarks/studies/approximations.py --seconds {seconds:g} --target {target}"
    write_record(json_path, command, {"cases": results})


def compare(
    model: pvt_edge.models.Model, imgsz: tuple[int, int], moves: Moves, folder: Path, seconds: float
) -> dict[str, Any]:
    """Medians of both, in milliseconds, and how many times faster the approximate one is."""
    pictures = [draw_scene(i, *imgsz).image[None] for i in range(CALIBRATION)]
    openvino: dict[str, Any] = {}
    onnx: dict[str, Any] = {}
    for route, wanted in {"exact": NONE, "moves": moves}.items():
        floats = read_model(export(model, wanted, imgsz, folder / f"{route}.ir.onnx", "openvino"))
        own_biases(floats)
        placed = place(floats, RECIPES[2].blocks(find_blocks(floats)), observe(floats, pictures, INPUT_NAME))
        trials = {"fp32": Trial(floats, bf16=False), "int8": Trial(placed, bf16=False)}
        if has_bf16():
            trials |= {"bf16": Trial(floats, bf16=True), "int8, bf16 hint": Trial(placed, bf16=True)}
        openvino |= {f"{route} {kind}": partial(trial.run, pictures[0]) for kind, trial in trials.items()}
        runtime = open_runtime("onnxruntime", export(model, wanted, imgsz, folder / f"{route}.onnx", "onnxruntime"))
        onnx[f"{route} fp32"] = partial(runtime.infer, {INPUT_NAME: pictures[0]})
    found = {"moves": moves.words(model.backbone.variant), "imgsz": imgsz}
    return found | {"openvino": ratios(openvino, seconds), "onnxruntime": ratios(onnx, seconds)}


def export(model: Any, moves: Moves, imgsz: tuple[int, int], path: Path, target: Target) -> Path:
    """The ONNX file of `model` with `moves`, shaped for `target`."""
    apply_moves(model, moves)
    export_onnx(DeployGraph(model, imgsz, target=target), path)
    apply_moves(model, NONE)
    return path


def ratios(runs: dict[str, Any], seconds: float) -> dict[str, dict[str, float]]:
    """By precision: the median of exact and of approximate, and the first by the second."""
    found = {name: latency.p50 for name, latency in measure(runs, seconds).items()}
    kinds = [name.removeprefix("exact ") for name in found if name.startswith("exact ")]
    return {
        kind: {
            "exact ms": found[f"exact {kind}"],
            "moves ms": found[f"moves {kind}"],
            "times faster": round(found[f"exact {kind}"] / found[f"moves {kind}"], 3),
            "times faster than exact fp32": round(found["exact fp32"] / found[f"moves {kind}"], 3),
        }
        for kind in kinds
    }


def engines(model: Any, imgsz: tuple[int, int], folder: Path, target: str) -> dict[str, Any]:
    """Kernels and bytes of both, ahead of time."""
    import onnx

    from pvt_edge.export.precision.half import to_half

    try:
        library = load_library("tensorrt-rtx")
    except pvt_edge.PvtEdgeError as error:
        return {"not built": str(error)}
    built = {}
    for route, moves in {"exact": NONE, "moves": CELLS}.items():
        path = export(model, moves, imgsz, folder / f"{route}.tensorrt.onnx", "tensorrt")
        onnx.save(to_half(onnx.load(str(path))), str(path))
        built[route] = summary(path, library, target)
    return built


if __name__ == "__main__":
    typer.run(main)
