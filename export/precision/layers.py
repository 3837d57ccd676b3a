"""The layers of an OpenVINO model that INT8 may run in, and what each reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pvt_edge.bundle.block_names import block_of
from pvt_edge.precision_plan import is_miscounted

if TYPE_CHECKING:
    import openvino

# Operations that move values without changing them: a quantiser passes through, to fuse with what computed them.
MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand")
WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")
# Raw pixels, and what writes the residual stream first: nothing there is worth an 8-bit grid.
ALWAYS_FLOAT = (".embed_norm",)


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
