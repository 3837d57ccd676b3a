"""What ONNX Runtime's int8 kernels gain on the shapes that cost the most, each alone against its float32 one.

    .venv/bin/python benchmarks/studies/ort_int8_kernels.py --json benchmarks/results/ort_int8_kernels.json

A graph in INT8 can gain no more than its kernels do. Shapes are those of `cells` at 480x640, stage 1 and 2; int8 is
uint8 activations with int8 weights, which VNNI multiplies. Quantising and dequantising stand apart: a GELU, a norm
or a softmax between two products has no int8 kernel, so each product behind one pays for both.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import typer
from onnx import TensorProto, helper, numpy_helper
from recording import write_record

from pvt_edge.export.precision.extremes import open_session
from pvt_edge.export.precision.trial import measure

SHAPES = {  # a product of tokens: how many, channels in, channels out
    "stage 1 fc1": (19200, 32, 256),
    "stage 1 fc2": (19200, 256, 32),
    "stage 2 fc1": (4800, 64, 512),
    "stage 2 fc2": (4800, 512, 64),
    "stage 3 fc1": (1200, 160, 640),
    "stage 4 fc2": (300, 1024, 256),
}
DEPTHWISE = {"stage 1 dwconv": (256, 120, 160), "stage 2 dwconv": (512, 60, 80)}
HEAD = {"head tower": (64, 60, 80)}
RNG = np.random.default_rng(0)


def run_of(nodes: list[Any], weights: dict[str, Any], shape: tuple[int, ...], kind: int) -> Callable[[], object]:
    """A call that runs a graph of `nodes` from x to y on random values."""
    out = helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)
    produced = nodes[-1].op_type
    out.type.tensor_type.elem_type = {
        "QLinearMatMul": TensorProto.UINT8,
        "QLinearConv": TensorProto.UINT8,
        "QuantizeLinear": TensorProto.UINT8,
    }.get(produced, TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "kernel",
        [helper.make_tensor_value_info("x", kind, shape)],
        [out],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)], ir_version=10
    )
    values = RNG.standard_normal(shape).astype(np.float32)
    if kind == TensorProto.UINT8:
        values = (values * 30 + 128).clip(0, 255).astype(np.uint8)
    return partial(open_session(model).run, None, {"x": values})


def node(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node from `inputs` to y."""
    return helper.make_node(kind, inputs, ["y"], kind, **attributes)


def grids(channels: int) -> dict[str, Any]:
    """Scales and zeros of x, of a weight by channel, and of y."""
    return {
        "xs": np.float32(0.03),
        "xz": np.uint8(128),
        "ws": np.full(channels, 0.01, np.float32),
        "wz": np.zeros(channels, np.int8),
        "ys": np.float32(0.05),
        "yz": np.uint8(128),
    }


def kernels() -> dict[str, dict[str, Callable[[], object]]]:
    """Calls by place and form."""
    found: dict[str, dict[str, Callable[[], object]]] = {}
    quantised = ("x", "xs", "xz", "w", "ws", "wz", "ys", "yz")
    for name, (tokens, inner, outer) in SHAPES.items():
        weight = RNG.integers(-127, 127, (inner, outer)).astype(np.int8)
        floats, shape = {"w": weight.astype(np.float32) * 0.01}, (1, tokens, inner)
        found[name] = {
            "float32": run_of([node("MatMul", "x", "w")], floats, shape, TensorProto.FLOAT),
            "int8": run_of(
                [node("QLinearMatMul", *quantised)], {"w": weight, **grids(outer)}, shape, TensorProto.UINT8
            ),
        }
    for name, (channels, height, width) in (DEPTHWISE | HEAD).items():
        groups = channels if name in DEPTHWISE else 1
        weight = RNG.integers(-127, 127, (channels, channels // groups, 3, 3)).astype(np.int8)
        floats, shape = {"w": weight.astype(np.float32) * 0.01}, (1, channels, height, width)
        options = {"pads": [1, 1, 1, 1], "group": groups}
        found[name] = {
            "float32": run_of([node("Conv", "x", "w", **options)], floats, shape, TensorProto.FLOAT),
            "int8": run_of(
                [node("QLinearConv", *quantised, **options)], {"w": weight, **grids(channels)}, shape, TensorProto.UINT8
            ),
        }
    found["what stands between, stage 1 hidden map"] = {
        "gelu float32": run_of([node("Gelu", "x")], {}, (1, 19200, 256), TensorProto.FLOAT),
        "quantise": run_of([node("QuantizeLinear", "x", "xs", "xz")], grids(1), (1, 19200, 256), TensorProto.FLOAT),
        "dequantise": run_of([node("DequantizeLinear", "x", "xs", "xz")], grids(1), (1, 19200, 256), TensorProto.UINT8),
    }
    return found


def main(
    seconds: Annotated[float, typer.Option(help="Of timing, for each place.")] = 3,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Time every kernel in turns with its float form, print and record the medians."""
    results: dict[str, dict[str, float]] = {}
    for name, runs in kernels().items():
        results[name] = {form: latency.p50 for form, latency in measure(runs, seconds).items()}
        if "int8" in runs:
            results[name]["times faster"] = round(results[name]["float32"] / results[name]["int8"], 3)
        print(name, results[name], flush=True)
    write_record(json_path, f"python benchmarks/studies/ort_int8_kernels.py --seconds {seconds:g}", {"ms": results})


if __name__ == "__main__":
    typer.run(main)
