"""What a graph costs by its shapes alone: multiply-adds, and the bytes that must move."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.runtimes.openvino_core import openvino_core

if TYPE_CHECKING:
    import openvino

_MULTIPLIED = ("Convolution", "GroupConvolution", "MatMul")
# What stands between a quantiser and the layer that reads it.
_PASSED = ("Convert", "Multiply", "Subtract", "Reshape", "Transpose", "Squeeze", "Unsqueeze")
_FLOAT_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}


@dataclass(frozen=True)
class GraphCosts:
    """Of one call: multiply-adds in all and in INT8, weights of both kinds, bytes in and out."""

    macs: int
    int8_macs: int
    float_weights: int
    int8_weights: int
    io_bytes: int

    def weight_bytes(self, float_precision: str) -> int:
        """Of the weights, with what is float held in that precision."""
        return self.int8_weights + self.float_weights * _FLOAT_BYTES[float_precision]


def read_costs(path: str | Path, batch: int) -> GraphCosts:
    """The costs of an ONNX file or an IR at that batch; the products of attention count (FACTS of PVT-v2: 0.57 G for
    B0 at 224x224). Needs OpenVINO, which reads both."""
    model = openvino_core().read_model(path)
    taken = model.inputs[0].get_partial_shape()
    if taken.is_dynamic:
        taken[0] = batch
        model.reshape(taken)
    return graph_costs(model)


def graph_costs(model: "openvino.Model") -> GraphCosts:
    """The costs of a model of static shapes."""
    macs = int8_macs = float_weights = int8_weights = 0
    for op in model.get_ordered_ops():
        if op.get_type_name() not in _MULTIPLIED:
            continue
        count = _macs(op)
        weights = _constant_elements(op.input_value(1).get_node())
        macs += count
        if _is_quantised(op.input_value(0)):
            int8_macs += count
            int8_weights += weights
        else:
            float_weights += weights
    ports = [*model.inputs, *model.outputs]
    io_bytes = sum(prod(port.get_shape()) * port.get_element_type().size for port in ports)
    return GraphCosts(macs, int8_macs, float_weights, int8_weights, io_bytes)


def _macs(op: "openvino.Node") -> int:
    """Outputs times what each is a sum of."""
    outputs = prod(op.output(0).get_shape())
    kind = op.get_type_name()
    weight = list(op.input_value(1).get_shape())
    if kind == "Convolution":  # (out, in, kh, kw)
        return outputs * prod(weight[1:])
    if kind == "GroupConvolution":  # (groups, out, in, kh, kw)
        return outputs * prod(weight[2:])
    first = list(op.input_value(0).get_shape())
    return outputs * int(first[-2] if op.get_attributes()["transpose_a"] else first[-1])


def _constant_elements(node: "openvino.Node") -> int:
    """Elements of the weight that `node` is, past what unpacks it; none where it is computed."""
    from pvt_edge.export.precision.layers import is_constant

    if not is_constant(node):
        return 0
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return prod(node.output(0).get_shape())


def _is_quantised(value: "openvino.Output") -> bool:
    node = value.get_node()
    while node.get_type_name() in _PASSED and node.input_values():
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "FakeQuantize")
