"""What TensorRT-RTX builds of the graphs for TensorRT, against the stock graph; it builds without a GPU.

    .venv/bin/python benchmarks/studies/engine_layers.py --json benchmarks/results/engine_layers.json

Per model, route and precision: seconds of the build, kernels, fused attentions, matrix products by the type they read,
kernels that only change types, and bytes read and written by all kernels, which bound small batches on edge GPUs. The
default route is the trained graph through torch.onnx.export and ONNX Runtime's convert_float_to_float16.
"""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Annotated, Any

import onnx
import torch
import typer
from int8_routes import CASES
from onnxruntime.transformers.float16 import convert_float_to_float16
from recording import write_record

import pvt_edge
from pvt_edge.engines.engine import build_engine
from pvt_edge.engines.layer_list import read_layers
from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision.extremes import float_activations, layer_ranges, observe_extremes, placeable_blocks
from pvt_edge.export.precision.half import to_half
from pvt_edge.export.precision.qdq import add_qdq
from pvt_edge.export.precision.recipes import FOR_TENSORRT
from pvt_edge.export.stock import StockGraph
from pvt_edge.options.build import BuildOptions
from pvt_edge.runtimes.tensorrt_library import TensorRtLibrary, load_library
from pvt_edge.scenes import draw_scene


def b0_classify() -> tuple[torch.nn.Module, tuple[int, int]]:
    """B0, 1000 classes."""
    return pvt_edge.create_model("b0", "classify"), (224, 224)


def graphs(model: torch.nn.Module, imgsz: tuple[int, int], folder: Path) -> dict[str, Path]:
    """ONNX files by what they are."""
    export_onnx(DeployGraph(model, imgsz, target="tensorrt"), folder / "fp32.onnx")
    fp32 = onnx.load(folder / "fp32.onnx")
    scenes = [draw_scene(i, *imgsz).image[None] for i in range(8)]
    ranges = layer_ranges(fp32, observe_extremes(fp32, float_activations(fp32), scenes))
    half, known = to_half(fp32), placeable_blocks(fp32)
    chosen = FOR_TENSORRT[0].blocks(known)
    models = {
        "fp16": half,
        "int8": add_qdq(half, chosen, ranges),
        "int8 and depthwise": add_qdq(half, [b for b in known if "products" not in b], ranges),
        "int8 and attention": add_qdq(half, [b for b in known if "dwconv" not in b], ranges),
    }
    for name, made in models.items():
        onnx.save(made, folder / f"{name}.onnx")
    stock = StockGraph(model, imgsz).eval()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        example = torch.zeros((1, *imgsz, 3))  # the parser takes uint8 only into a Cast, which a stock graph lacks
        program = torch.onnx.export(stock, (example,), dynamo=True, external_data=False, verbose=False)
        program.save(str(folder / "stock.onnx"))
    default = convert_float_to_float16(onnx.load(folder / "stock.onnx"), keep_io_types=True)
    onnx.save(default, folder / "default fp16.onnx")
    return {name: folder / f"{name}.onnx" for name in (*models, "default fp16")}


def summary(file: Path, library: TensorRtLibrary, target: str) -> dict[str, Any]:
    """What is built of one file."""
    built = build_engine(file, library, BuildOptions(target=(target,)))
    layers = read_layers(built.messages)
    products = [layer for layer in layers if layer.matrix_product]
    return {
        "build seconds": round(built.seconds, 2),
        "engine MB": round(len(built.plan) / 1e6, 1),
        "kernels": len(layers),
        "fused attentions": sum(layer.fused_attention for layer in layers),
        "products in int8": sum(layer.inputs[0].dtype == "Int8" for layer in products),
        "products in half": sum(layer.inputs[0].dtype == "Half" for layer in products),
        "products in float": sum(layer.inputs[0].dtype == "Float" for layer in products),
        "kernels that only change types": sum(layer.changes_type_only for layer in layers),
        "MB read and written": round(sum(layer.bytes for layer in layers) / 1e6, 1),
    }


def main(
    target: Annotated[str, typer.Option(help="The GPU to build for.")] = "sm86",
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Build every model by every route, print and record what comes of it."""
    library = load_library("tensorrt-rtx")
    results: dict[str, Any] = {}
    for name, case in {"b0-classify": b0_classify, **CASES}.items():
        torch.manual_seed(0)
        model, imgsz = case()
        with tempfile.TemporaryDirectory() as folder:
            results[name] = {}
            for route, file in graphs(model, imgsz, Path(folder)).items():
                try:
                    results[name][route] = summary(file, library, target)
                except pvt_edge.PvtEdgeError as error:  # a stock graph may not build at all
                    results[name][route] = {"failed": str(error)[:200]}
                print(name, route, results[name][route], flush=True)
    command = f"python benchmarks/studies/engine_layers.py --target {target}"
    write_record(json_path, command, {"tensorrt-rtx": library.version, "models": results})


if __name__ == "__main__":
    typer.run(main)
