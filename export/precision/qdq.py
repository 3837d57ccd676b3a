"""Float ONNX + plan + ranges -> ONNX with QuantizeLinear/DequantizeLinear: what TensorRT builds, and ONNX Runtime runs.

TensorRT's rules: symmetric int8, zero point 0, weights per output channel, activations per tensor, scales of the type
of what they scale. The quantisers stand where OpenVINO's do, with the same ranges; only what is never negative has half
of OpenVINO's steps here.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.bundle.block_names import LAYERS, block_of
from pvt_edge.export.precision.layers import MOVES
from pvt_edge.export.precision.placement import SMALLEST, grid_step, quantise_weight

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from pvt_edge.export.precision.layers import Ranges


def add_qdq(model: "onnx.ModelProto", int8_blocks: Collection[str], ranges: "Ranges") -> "onnx.ModelProto":
    """A copy of `model` with the layers of `int8_blocks` between quantisers, in topological order and checked."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    writer = _Writer(graph)
    nodes = []
    for node in list(graph.node):
        if node.op_type in LAYERS and "#" in node.name and block_of(node.name) in int8_blocks:
            for index in range(2):
                key = f"{node.name}:{index}"
                if node.input[index] in writer.weights:
                    node.input[index] = writer.weight(node, index)
                elif key in ranges:
                    node.input[index] = writer.activation(node.input[index], ranges[key])
        if writer.is_half_conv(node) and block_of(node.name) in int8_blocks:
            nodes += [*writer.take(), node, writer.bias_apart(node)]
        else:
            nodes += [*writer.take(), node]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(graph)
    quantised: onnx.ModelProto = onnx.helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name=model.producer_name
    )
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


class _Writer:
    """New nodes and initializers, each quantised tensor once."""

    def __init__(self, graph: "onnx.GraphProto") -> None:
        import onnx

        self.graph = graph
        self.weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
        values = (*graph.value_info, *graph.input, *graph.output)
        self.types = {value.name: value.type.tensor_type.elem_type for value in values}
        self.producers = {output: node for node in graph.node for output in node.output}
        self.done: dict[str, str] = {}  # a tensor -> its quantised form
        self.pending: list[onnx.NodeProto] = []

    def take(self) -> "list[onnx.NodeProto]":
        """The nodes made since the last call, which go before what reads them."""
        taken, self.pending = self.pending, []
        return taken

    def activation(self, tensor: str, bounds: tuple[float, float]) -> str:
        """`tensor` through a quantiser that stands behind what computed it; what only moves it is repeated."""
        import onnx

        if tensor not in self.done:
            node = self.producers.get(tensor)
            if node is not None and node.op_type in MOVES:
                moved = self.activation(node.input[0], bounds)
                copy = onnx.NodeProto.FromString(node.SerializeToString())
                copy.input[0], copy.output[0], copy.name = moved, f"{tensor}_int8", f"{node.name}_int8"
                self.pending.append(copy)
                self.done[tensor] = copy.output[0]
            else:
                top = np.array(max(-bounds[0], bounds[1], SMALLEST))
                dtype = onnx.helper.tensor_dtype_to_np_dtype(self.types[tensor])
                self.done[tensor] = self._pair(tensor, grid_step(top, dtype))
        return self.done[tensor]

    def weight(self, layer: "onnx.NodeProto", index: int) -> str:
        """The layer's weight as int8 values, dequantised along its output channels."""
        import onnx

        name = layer.input[index]
        if name not in self.done:
            transposed = any(a.name == "transB" and a.i for a in layer.attribute)
            axis = 1 if layer.op_type == "MatMul" or (layer.op_type == "Gemm" and not transposed) else 0
            values, scale = quantise_weight(self.weights[name], axis)
            for suffix, array in (
                ("values", values),
                ("scale", scale.ravel()),
                ("zero", np.zeros(scale.size, np.int8)),
            ):
                self.graph.initializer.append(onnx.numpy_helper.from_array(array, f"{name}_{suffix}"))
            inputs = [f"{name}_values", f"{name}_scale", f"{name}_zero"]
            self.done[name] = f"{name}_dequantised"
            self.pending.append(
                onnx.helper.make_node("DequantizeLinear", inputs, [self.done[name]], f"{name}_dequantise", axis=axis)
            )
        return self.done[name]

    def is_half_conv(self, node: "onnx.NodeProto") -> bool:
        """Whether it is a convolution with a float16 bias."""
        return node.op_type == "Conv" and len(node.input) == 3 and self.weights[node.input[2]].dtype == np.float16

    def bias_apart(self, layer: "onnx.NodeProto") -> "onnx.NodeProto":
        """The addition of a convolution's bias, which it loses.

        ONNX Runtime would turn it into int32 by a float16 scale, the product of two, which is subnormal and loses most
        of its digits; TensorRT fuses it back.
        """
        import onnx

        name, output = layer.input.pop(), layer.output[0]
        inner, shaped = f"{output}_unbiased", f"{name}_map"
        if shaped not in self.done:
            bias = self.weights[name].reshape(1, -1, 1, 1)
            self.graph.initializer.append(onnx.numpy_helper.from_array(bias, shaped))
            self.done[shaped] = shaped
        layer.output[0] = inner
        return onnx.helper.make_node("Add", [inner, shaped], [output], f"{layer.name}_bias")

    def _pair(self, tensor: str, scale: "NDArray[Any]") -> str:
        import onnx

        self.graph.initializer.append(onnx.numpy_helper.from_array(scale, f"{tensor}_scale"))
        self.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.int8), f"{tensor}_zero"))
        parameters = [f"{tensor}_scale", f"{tensor}_zero"]
        quantised, result = f"{tensor}_quantised", f"{tensor}_dequantised"
        self.pending += [
            onnx.helper.make_node("QuantizeLinear", [tensor, *parameters], [quantised], f"{tensor}_quantise"),
            onnx.helper.make_node("DequantizeLinear", [quantised, *parameters], [result], f"{tensor}_dequantise"),
        ]
        return result


def drop_unused(graph: "onnx.GraphProto") -> None:
    """Take out what nothing reads any more: float weights, and moves that were repeated behind a quantiser."""
    outputs = {output.name for output in graph.output}
    while True:
        read = outputs.union(*(node.input for node in graph.node))
        dead = [node for node in graph.node if not read.intersection(node.output)]
        if not dead:
            break
        for node in dead:
            graph.node.remove(node)
    kept = [weight for weight in graph.initializer if weight.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]  # shapes are inferred again by the checker
