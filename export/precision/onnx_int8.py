"""Float ONNX on rows + plan + pictures -> Q/DQ in the forms that ONNX Runtime has int8 kernels for.

What its CPU kernels ask for: uint8 activations, one scale and zero point each (a zero point is free: the sums it needs
lie beside the packed weights), int8 weights by output channel, biases as int32 on the grid of the product. A matrix
product may give float32, which is its cheapest end; a convolution must give bytes, else it runs in float behind a
dequantiser. The last convolutions, whose results are answers, stay float: 256 steps would be all that scores may have.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.bundle.block_names import LAYERS, block_of
from pvt_edge.export.precision.extremes import Extremes, observe_extremes, source_of
from pvt_edge.export.precision.layers import MOVES
from pvt_edge.export.precision.placement import SMALLEST, quantise_weight
from pvt_edge.export.precision.qdq import drop_unused

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

LARGEST = 2.0**30  # of a bias in steps: int32 holds twice as much, and what is summed up comes on top


def to_onnx_int8(
    model: "onnx.ModelProto", int8_blocks: Collection[str], batches: "Sequence[NDArray[np.uint8]]"
) -> "onnx.ModelProto":
    """A copy of `model` with the layers of `int8_blocks` in INT8, ranges taken from `batches` of its input.

    Args:
        model: In the form "onnxruntime-int8", float32.
        int8_blocks: Of the plan.
        batches: Calibration pictures, (B, H, W, 3) each.
    """
    import onnx

    quantised = onnx.ModelProto.FromString(model.SerializeToString())
    placer = _Placer(quantised.graph, int8_blocks, source_of(quantised))
    extremes = observe_extremes(model, placer.tensors, batches) if placer.tensors else {}
    placer.grids = {tensor: _grid(found) for tensor, found in extremes.items()}
    nodes = [made for node in list(quantised.graph.node) for made in placer.place(node)]
    del quantised.graph.node[:]
    quantised.graph.node.extend(nodes)
    drop_unused(quantised.graph)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


@dataclass(frozen=True)
class _Grid:
    scale: np.float32
    zero: np.uint8


def _grid(found: Extremes) -> _Grid:
    """256 steps from the lowest to the highest value, zero among them."""
    lowest, highest = min(found.mean_lowest, 0.0), max(found.mean_highest, 0.0)
    scale = max(highest - lowest, SMALLEST) / 255
    return _Grid(np.float32(scale), np.uint8(np.clip(round(-lowest / scale), 0, 255)))


def _inner(graph: "onnx.GraphProto", layers: Collection[str]) -> set[str]:
    """The names of the nodes behind which another of `layers` lies."""
    found: set[str] = set()
    read: set[str] = set()  # tensors that lie before one
    for node in reversed(graph.node):  # readers come after what they read
        before = not read.isdisjoint(node.output)
        if before:
            found.add(node.name)
        if before or node.name in layers:
            read.update(node.input)
    return found


class _Placer:
    """Quantisers by what they quantise: each tensor has one, right behind what computed it."""

    def __init__(self, graph: "onnx.GraphProto", int8_blocks: Collection[str], sources: dict[str, str]) -> None:
        import onnx

        self.graph, self.sources = graph, sources
        self.weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
        self.producers = {output: node for node in graph.node for output in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.readers[name].append(node)
        blocks = [node for node in graph.node if node.op_type in LAYERS and "#" in node.name]
        inner = _inner(graph, {node.name for node in blocks})
        layers = [n for n in blocks if block_of(n.name) in int8_blocks and (n.op_type != "Conv" or n.name in inner)]
        self.layers = {node.name for node in layers}
        ends = {output.name for output in graph.output}
        self.bytes_out = {self._end(node) for node in layers if node.op_type == "Conv"} - ends
        read = [self._source(name) for node in layers for name in node.input[:2] if name not in self.weights]
        self.tensors = list(dict.fromkeys((*read, *sorted(self.bytes_out))))  # those that are to have a grid
        self.grids: dict[str, _Grid] = {}
        self.done: dict[str, str] = {}  # a tensor -> its dequantised form
        self.pending: list[onnx.NodeProto] = []

    def place(self, node: "onnx.NodeProto") -> "list[onnx.NodeProto]":
        """`node` as the quantised graph has it, and the nodes that go before it."""
        if node.name in self.layers:
            scale = self.grids[self._source(node.input[0])].scale
            node.input[0] = self._activation(node.input[0])
            if node.input[1] in self.weights:
                self._weigh(node, scale)
            else:
                node.input[1] = self._activation(node.input[1])
        elif node.op_type not in MOVES and self.bytes_out.isdisjoint(node.output):
            for index, name in enumerate(node.input):
                if self._source(name) in self.bytes_out:
                    node.input[index] = self._activation(name)
        taken, self.pending = self.pending, []
        return [*taken, node]

    def _source(self, name: str) -> str:
        return self.sources.get(name, name)

    def _end(self, layer: "onnx.NodeProto") -> str:
        """What `layer` gives, behind the Relu that alone reads it: its kernel clips as it rounds."""
        readers = self.readers[layer.output[0]]
        return readers[0].output[0] if [n.op_type for n in readers] == ["Relu"] else layer.output[0]

    def _activation(self, name: str) -> str:
        """`name` through a quantiser behind what computed it; what only moves it moves bytes, and is repeated."""
        import onnx

        if name in self.done:
            return self.done[name]
        mover = self.producers.get(name)
        values = name
        if mover is not None and mover.op_type in MOVES:
            copy = onnx.NodeProto.FromString(mover.SerializeToString())
            copy.input[0], values, copy.name = self._activation(mover.input[0]), f"{name}_moved", f"{mover.name}_moved"
            copy.output[0] = values
            self.pending.append(copy)
        self.done[name] = self._pair(values, name, self.grids[self._source(name)])
        return self.done[name]

    def _pair(self, values: str, name: str, grid: _Grid) -> str:
        parameters = [self._constant(f"{name}_scale", grid.scale), self._constant(f"{name}_zero", grid.zero)]
        self._node("QuantizeLinear", [values, *parameters], f"{name}_quantised")
        return self._node("DequantizeLinear", [f"{name}_quantised", *parameters], f"{name}_dequantised")

    def _weigh(self, layer: "onnx.NodeProto", scale: np.float32) -> None:
        """Have `layer`, which reads a grid of `scale`, read its weight as int8 and its bias as int32."""
        name, bias = layer.input[1], self.weights[layer.input[2]] if len(layer.input) > 2 else None
        weight = self.weights[name]
        transposed = any(a.name == "transB" and a.i for a in layer.attribute)
        axis = 1 if layer.op_type == "MatMul" or (layer.op_type == "Gemm" and not transposed) else 0
        values, steps = quantise_weight(weight, axis)
        # a channel of hardly any weight
        if bias is not None and (np.abs(bias) > LARGEST * scale * steps.ravel()).any():
            least = np.abs(bias).reshape(steps.shape) * 127 / (LARGEST * scale)
            values, steps = quantise_weight(weight, axis, least)
            name = f"{name}@{layer.name}"  # layers that share it read other grids
        if name not in self.done:
            parts = {"values": values, "scale": steps.ravel(), "zero": np.zeros(steps.size, np.int8)}
            inputs = [self._constant(f"{name}_{suffix}", array) for suffix, array in parts.items()]
            self.done[name] = self._node("DequantizeLinear", inputs, f"{name}_dequantised", axis=axis)
        layer.input[1] = self.done[name]
        if bias is not None:
            grid = (scale * steps.ravel()).astype(np.float32)  # what ONNX Runtime takes it to be
            inputs = [
                self._constant(f"{layer.name}_bias_values", np.rint(bias / grid).astype(np.int32)),
                self._constant(f"{layer.name}_bias_scale", grid),
            ]
            layer.input[2] = self._node("DequantizeLinear", inputs, f"{layer.name}_bias_dequantised", axis=0)

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        import onnx

        self.pending.append(onnx.helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def _constant(self, name: str, array: "NDArray[Any] | np.generic") -> str:
        import onnx

        self.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
        return name
