"""INT8 as an export places it, against what the default route gives, in one run.

    .venv/bin/python benchmarks/studies/int8_routes.py --json benchmarks/results/int8_routes.json

Three models: `cells` at 480x640, B2 classify at 224, mmdet-style RetinaNet-B0 (256x4 head, 80 classes) at 640; the last
two with random weights, every norm and bias moved. Ours is the bundle that `export_model(..., precisions=("fp32",
"int8"))` writes. The default route is the trained graph through torch.onnx.export and NNCF with model_type=TRANSFORMER
and defaults otherwise, calibrated on the same pictures, at its better precision hint. Inference only, batch 1, one
generated scene, in turns; compare the ratios.
"""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from recording import write_record

import pvt_edge
from pvt_edge.export.calibration import calibration_from_images
from pvt_edge.export.precision.record import Latency
from pvt_edge.export.precision.trial import Trial, group_ms, measure
from pvt_edge.export.request import default_resize
from pvt_edge.export.stock import StockGraph, export_stock_onnx, quantise_by_default
from pvt_edge.runtimes.openvino import openvino_core
from pvt_edge.scenes import draw_scene, write_scenes

CALIBRATION = 64
WANTED = {  # what ours must reach: against own fp32, default INT8, default bf16
    "cells": (2.3, 1.5, 1.3),
    "b2-classify": (2.4, 1.3, 1.4),
    "retinanet-b0": (2.6, 1.3, 1.8),
}


def cells() -> tuple[torch.nn.Module, tuple[int, int]]:
    """The bundled detector."""
    return pvt_edge.create_model("b0", "detect", weights="cells"), (480, 640)


def b2_classify() -> tuple[torch.nn.Module, tuple[int, int]]:
    """B2, 1000 classes."""
    return moved(pvt_edge.create_model("b2", "classify")), (224, 224)


def retinanet_b0() -> tuple[torch.nn.Module, tuple[int, int]]:
    """B0 with mmdet's RetinaNet head."""
    return moved(pvt_edge.create_model("b0", "detect")), (640, 640)


CASES: dict[str, Callable[[], tuple[torch.nn.Module, tuple[int, int]]]] = {
    "cells": cells,
    "b2-classify": b2_classify,
    "retinanet-b0": retinanet_b0,
}


def moved(model: torch.nn.Module) -> torch.nn.Module:
    """`model` with norms and biases off their initial ones and zeros, so that no fold is trivial."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def main(
    case: Annotated[
        list[str] | None, typer.Option(help="Among cells, b2-classify, retinanet-b0; all by default.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of timing, for each model.")] = 60,
    tune: Annotated[bool, typer.Option("--tune/--no-tune", help="Search as an export does by default.")] = True,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Export each model both ways, time all of them in turns, print and record the ratios."""
    results = {}
    for name in case or CASES:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = compare(name, Path(folder), seconds, tune)
        report(name, results[name])
    command = f"python benchmarks/studies/int8_routes.py --seconds {seconds:g}" + ("" if tune else " --no-tune")
    write_record(json_path, command, {"cases": results})


def compare(name: str, folder: Path, seconds: float, tune: bool) -> dict[str, Any]:
    """Latencies of one model both ways, and where the time of both INT8 models goes."""
    torch.manual_seed(0)
    model, imgsz = CASES[name]()
    scenes = write_scenes(folder / "scenes", CALIBRATION, seed=7).parent / "images"
    bundle = pvt_edge.export_model(
        model,
        folder / "bundle",
        formats=("openvino",),
        precisions=("fp32", "int8"),
        imgsz=imgsz,
        calib=scenes,
        tune="full" if tune else "off",
    ).folder
    search = json.loads((bundle / "report.json").read_text())["search"]
    stock, stock_int8 = default_route(model, imgsz, scenes, folder)
    image = draw_scene(0, *imgsz).image[None]
    core = openvino_core()
    fp32 = core.read_model(bundle / "openvino/fp32.xml")
    trials = {"fp32": Trial(fp32, bf16=False), "bf16": Trial(fp32, bf16=True)}
    if (bundle / "openvino/int8.xml").is_file():
        trials["int8"] = Trial(core.read_model(bundle / "openvino/int8.xml"), bf16=True)
    trials |= {
        "default fp32": Trial(stock, bf16=False),
        "default bf16": Trial(stock, bf16=True),
        "default int8, f32 hint": Trial(stock_int8, bf16=False),
        "default int8, bf16 hint": Trial(stock_int8, bf16=True),
    }
    runs = {key: partial(trial.run, image) for key, trial in trials.items()}
    latencies = measure(runs, seconds)
    return {
        "imgsz": imgsz,
        "ms": {key: latency.model_dump() for key, latency in latencies.items()},
        "ratios": ratios(latencies),
        "wanted": WANTED[name],
        "verdict": search["verdict"],
        "export seconds": search["seconds"],
        "layers": layers(bundle, stock_int8, image),
    }


def default_route(model: torch.nn.Module, imgsz: tuple[int, int], scenes: Path, folder: Path) -> tuple[Any, Any]:
    """The stock graph in float, and as NNCF quantises it by default."""
    path = export_stock_onnx(StockGraph(model, imgsz), folder / "stock.onnx", imgsz=imgsz)
    pictures = calibration_from_images(scenes, imgsz, default_resize(model), count=CALIBRATION).inputs
    core = openvino_core()
    return core.read_model(path), core.read_model(quantise_by_default(path, pictures, folder / "stock-int8.xml"))


def layers(bundle: Path, stock_int8: Any, image: np.ndarray) -> dict[str, dict[str, float]]:
    """Milliseconds by group of layers, by the plugin's counters: default INT8, our bf16, our INT8."""
    core = openvino_core()
    models = {"default int8": stock_int8, "bf16": core.read_model(bundle / "openvino/fp32.xml")}
    if (bundle / "openvino/int8.xml").is_file():
        models["int8"] = core.read_model(bundle / "openvino/int8.xml")
    trials = {key: Trial(model, bf16=True, counters=True) for key, model in models.items()}
    return {
        key: {group: round(ms, 3) for group, ms in group_ms(trial.layer_ms(image, 30))[0].items()}
        for key, trial in trials.items()
    }


def ratios(latencies: dict[str, Latency]) -> dict[str, float]:
    """How many times faster our INT8 is, by medians."""
    if "int8" not in latencies:
        return {}
    ours = latencies["int8"].p50
    default_int8 = min(latencies[f"default int8, {hint} hint"].p50 for hint in ("f32", "bf16"))
    others = {
        "own fp32": latencies["fp32"].p50,
        "default int8": default_int8,
        "default bf16": latencies["default bf16"].p50,
        "own bf16": latencies["bf16"].p50,
    }
    return {key: round(other / ours, 3) for key, other in others.items()}


def report(name: str, result: dict[str, Any]) -> None:
    """Print one case."""
    print(f"{name}: {result['verdict']} ({result['export seconds']:.0f} s of search)")
    for key, ms in result["ms"].items():
        print(f"  {key:24} p50 {ms['p50']:7.2f}  p90 {ms['p90']:7.2f}  p99 {ms['p99']:7.2f} ms")
    wanted = dict(zip(("own fp32", "default int8", "default bf16"), result["wanted"], strict=True))
    for key, ratio in result["ratios"].items():
        print(f"  int8 against {key:13} {ratio:.2f}x" + (f" (wanted {wanted[key]}x)" if key in wanted else ""))
    for key, groups in result["layers"].items():
        print(f"  {key:13} " + ", ".join(f"{group} {ms:.2f}" for group, ms in groups.items()))


if __name__ == "__main__":
    typer.run(main)
