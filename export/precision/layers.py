"""The layers of an OpenVINO model that INT8 may run in: what each reads, and in which range."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle.block_names import block_of
from pvt_edge.precision_plan import is_miscounted
from pvt_edge.runtimes.openvino import openvino_core

if TYPE_CHECKING:
    import openvino
    from numpy.typing import NDArray

# Operations that move values without changing them: a quantiser passes through, to fuse with what computed them.
MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand")
WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")
# Raw pixels, and what writes the residual stream first: nothing there is worth an 8-bit grid.
ALWAYS_FLOAT = (".embed_norm",)
Ranges = dict[str, tuple[float, float]]  # (lowest, highest) by a layer input's key, see `Layer.inputs`


@dataclass(frozen=True)
class Layer:
    """One operation of a block. `weighted` when its second input is a weight, else both are activations."""

    name: str  # "head.cls.0#2"
    op: "openvino.Node"
    weighted: bool

    @property
    def block(self) -> str:
        """The block it belongs to: "head.cls.0"."""
        return block_of(self.name)

    @property
    def inputs(self) -> Iterator[tuple[str, int]]:
        """(key, input index) of every activation it reads; keys hold over runtimes: "head.cls.0#2:0"."""
        for i in (0,) if self.weighted else (0, 1):
            yield f"{self.name}:{i}", i


def find_layers(model: "openvino.Model") -> list[Layer]:
    """The layers of `model` in execution order; those whose names the exporter did not give are none."""
    layers = []
    for op in model.get_ordered_ops():
        name = op.get_friendly_name().removesuffix("/WithoutBiases")
        if op.get_type_name() not in WEIGHTED or "#" not in name or block_of(name).endswith(ALWAYS_FLOAT):
            continue
        if not _miscounted(op):
            layers.append(Layer(name, op, is_constant(op.input_value(1).get_node())))
    return layers


def _miscounted(op: "openvino.Node") -> bool:
    if op.get_type_name() != "Convolution":
        return False
    _, channels, *kernel_hw = op.input_value(1).get_shape()
    return is_miscounted(channels, kernel_hw)


def find_blocks(model: "openvino.Model") -> list[str]:
    """The blocks of `model`, each once, in execution order."""
    return list(dict.fromkeys(layer.block for layer in find_layers(model)))


def is_constant(node: "openvino.Node") -> bool:
    """Whether `node` is a weight: a constant, perhaps behind operations that only convert or reshape it."""
    if node.get_type_name() == "Constant":
        return True
    sources = [value.get_node() for value in node.input_values()]
    return bool(sources) and all(is_constant(source) for source in sources)


def producer(value: "openvino.Output") -> "openvino.Output":
    """What computed `value`, past operations that only move it."""
    while value.get_node().get_type_name() in MOVES:
        value = value.get_node().input_value(0)
    return value


def observe(model: "openvino.Model", batches: "Sequence[NDArray[np.uint8]]", input_name: str) -> Ranges:
    """Ranges of all layer inputs of `model` (float) over `batches` of its own (B, H, W, 3), in float32.

    The lowest and highest value of a batch, averaged over batches: one odd picture does not widen the grid of all.
    Only the two extremes of a tensor leave the graph, so the memory taken is the model's own.
    """
    import openvino

    probed = model.clone()
    values = {}  # a tensor several layers read is looked at once
    keys: dict[str, tuple[str, int]] = {}
    for layer in find_layers(probed):
        for key, index in layer.inputs:
            value = producer(layer.op.input_value(index))
            tensor = (value.get_node().get_friendly_name(), value.get_index())
            values[tensor], keys[key] = value, tensor
    probed = openvino.Model(
        [end for value in values.values() for end in _extremes(value)], probed.get_parameters(), "ranges"
    )
    compiled = openvino_core().compile_model(probed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    sums = np.zeros(2 * len(values))
    for batch in batches:
        found = request.infer({input_name: batch})
        sums += [float(found[i].min() if i % 2 == 0 else found[i].max()) for i in range(len(sums))]
    lowest, highest = (sums / len(batches)).reshape(-1, 2).T
    places = {tensor: i for i, tensor in enumerate(values)}
    return {key: (float(lowest[places[tensor]]), float(highest[places[tensor]])) for key, tensor in keys.items()}


def _extremes(value: "openvino.Output") -> "tuple[openvino.Node, openvino.Node]":
    """The minimum and the maximum of a tensor, over all but its first axis."""
    import openvino.opset13 as op

    axes = np.arange(1, len(value.get_partial_shape()))
    return op.reduce_min(value, axes, False), op.reduce_max(value, axes, False)
