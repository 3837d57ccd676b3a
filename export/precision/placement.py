"""Float OpenVINO model + plan + ranges -> INT8 OpenVINO model, quantisers where the CPU plugin fuses them.

A quantiser stands right behind what computed a tensor, before any transposition: there the plugin makes it the last
step of that kernel, which then writes bytes. Activations are symmetric around zero (or from zero up): an offset costs
compensation in every kernel. Weights are int8 per output channel, stored as such.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.export.precision.layers import MOVES, Layer, find_layers
from pvt_edge.runtimes.openvino import openvino_core

if TYPE_CHECKING:
    import openvino
    from numpy.typing import NDArray

    from pvt_edge.export.precision.layers import Ranges

QUANTISER = "/quantiser"
SMALLEST = 1e-8  # of a range: a tensor that is always zero


def place(model: "openvino.Model", int8_blocks: Collection[str], ranges: "Ranges") -> "openvino.Model":
    """A copy of `model` with the layers of `int8_blocks` in INT8; `model` is left as it was."""
    quantised = model.clone()
    chosen = [layer for layer in find_layers(quantised) if layer.block in int8_blocks]
    placer = _Placer()
    for layer in chosen:
        for key, index in layer.inputs:
            value = placer.quantised(layer.op.input_value(index), ranges[key], layer.name)
            layer.op.input(index).replace_source_output(value)
        if layer.weighted:
            layer.op.input(1).replace_source_output(int8_weight(layer).output(0))
    quantised.validate_nodes_and_infer_types()
    return quantised


class _Placer:
    """Quantisers by what they quantise: layers that read one tensor share one."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, int], openvino.Output] = {}

    def quantised(self, value: "openvino.Output", bounds: tuple[float, float], name: str) -> "openvino.Output":
        """`value` on the grid of `bounds`; operations that only move it are repeated behind the quantiser."""
        node = value.get_node()
        key = (node.get_friendly_name(), value.get_index())
        if key not in self.made:
            if node.get_type_name() in MOVES:
                moved = self.quantised(node.input_value(0), bounds, name)
                self.made[key] = _repeat(node, moved)
            else:
                quantiser = _fake_quantize(value, *bounds)
                # counters tell its time under the layer that reads it
                quantiser.set_friendly_name(f"{name}{QUANTISER}")
                self.made[key] = quantiser.output(0)
        return self.made[key]


def _repeat(node: "openvino.Node", value: "openvino.Output") -> "openvino.Output":
    """What `node`, which only moves its first input, makes of `value` in place of it."""
    from openvino.utils.node_factory import NodeFactory

    inputs = [value, *node.input_values()[1:]]
    copy: openvino.Node = NodeFactory("opset13").create(node.get_type_name(), inputs, node.get_attributes())
    return copy.output(0)


def _fake_quantize(value: "openvino.Output", lowest: float, highest: float) -> "openvino.Node":
    """256 levels: 0 to the highest where nothing is below zero, else int8's -128 to 127 around zero."""
    import openvino.opset13 as op

    top = max(highest, SMALLEST) if lowest >= 0 else max(-lowest, highest, SMALLEST)
    bottom = 0.0 if lowest >= 0 else -top * 128 / 127
    rank = len(value.get_partial_shape())
    low, high = (op.constant(np.full((1,) * rank, bound, np.float32)) for bound in (bottom, top))
    return op.fake_quantize(value, low, high, low, high, 256)


def int8_weight(layer: Layer) -> "openvino.Node":
    """The layer's weight as an int8 constant times a scale per output channel, which is what is stored."""
    import openvino.opset13 as op

    weight = evaluate(layer.op.input_value(1))
    axis = 1 if layer.op.get_type_name() == "MatMul" and not layer.op.get_attributes()["transpose_b"] else 0
    values, scale = quantise_weight(weight, axis)
    return op.multiply(op.convert(op.constant(values), np.float32), op.constant(scale))


def quantise_weight(
    weight: "NDArray[Any]", axis: int, least: "NDArray[Any] | float" = SMALLEST
) -> "tuple[NDArray[np.int8], NDArray[Any]]":
    """int8 values in -127..127, and the scale of each slice along `axis`, of the weight's rank and type.

    A slice whose largest magnitude is below `least` is scaled as if it had that.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    top = np.maximum(np.abs(weight).max(axis=others, keepdims=True), np.maximum(least, SMALLEST))
    scale = grid_step(top, weight.dtype)
    return np.clip(np.rint(weight.astype(np.float32) / scale.astype(np.float32)), -127, 127).astype(np.int8), scale


def grid_step(top: "NDArray[Any]", dtype: "np.dtype[Any]") -> "NDArray[Any]":
    """The step of a symmetric int8 grid up to `top`, as a number of `dtype` that is not subnormal."""
    step: NDArray[Any] = np.maximum(np.asarray(top, np.float32) / 127, np.finfo(dtype).tiny).astype(dtype)
    return step


def evaluate(value: "openvino.Output") -> "NDArray[np.float32]":
    """The number behind a weight: the constant itself, or what reshapes and conversions make of it."""
    import openvino

    node = value.get_node()
    if node.get_type_name() == "Constant":
        return np.array(node.data, np.float32)
    folded = openvino_core().compile_model(
        openvino.Model([value], [], "weight"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return np.array(folded([])[0], np.float32)
