"""Float ONNX -> strongly typed FP16 ONNX, for TensorRT: every type is in the graph and no builder may choose.

Weights and activations are float16. Float32 stay: the pixels' normalisation, LayerNorm's statistics (within the
operator, whole), softmax, the arithmetic on boxes and scores, the outputs, and tensors that the overflow audit
pinned: activations that come near float16's largest number on real pictures.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle.block_names import block_of
from pvt_edge.export.precision.extremes import source_of
from pvt_edge.export.precision.record import ActivationRange, OverflowAudit

if TYPE_CHECKING:
    import onnx

    from pvt_edge.export.precision.extremes import Extremes

LARGEST = 65504.0  # of float16
# Operators that move or pick values and compute none: they keep the type of what they are given.
KEEP_TYPE = frozenset(
    [
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "Identity",
        "ReduceMax",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "TopK",
        "Transpose",
        "Unsqueeze",
    ]
)

# Attention is the same fused kernel with its softmax in float32, and exponents of hundreds keep their digits.
FLOAT_OPERATORS = frozenset({"Softmax"})
HEADROOM = 4.0  # pictures in the field go further than those at hand: what is within this factor is pinned


def to_half(model: "onnx.ModelProto", pinned: Collection[str] = ()) -> "onnx.ModelProto":
    """A copy of `model` (float32, layers named as the exporter does) in float16; tensors of `pinned` stay float32.

    What computes or reads a pinned tensor runs in float32. Inputs and outputs keep their names and types.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    converter = _Converter(graph, frozenset(pinned))
    nodes = converter.convert()
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    kept = [weight for weight in graph.initializer if weight.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]  # float32's: inferred again by the checker
    half: onnx.ModelProto = onnx.helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name=model.producer_name
    )
    onnx.checker.check_model(half, full_check=True)
    return half


class _Converter:
    """One pass over a graph in topological order, casts made where types meet."""

    def __init__(self, graph: "onnx.GraphProto", pinned: frozenset[str]) -> None:
        from onnx import TensorProto

        self.graph, self.pinned = graph, pinned
        self.float, self.half = TensorProto.FLOAT, TensorProto.FLOAT16
        self.weights = {weight.name: weight for weight in graph.initializer}
        declared = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
        self.floats = {name for name, value in declared.items() if value.type.tensor_type.elem_type == self.float}
        self.floats |= {name for name, weight in self.weights.items() if weight.data_type == self.float}
        self.now: dict[str, int] = {}  # float tensors computed so far -> their type
        self.casts: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []

    def convert(self) -> "list[onnx.NodeProto]":
        """The nodes of the converted graph; weights that it needs are added to the graph."""
        outside = always_float(self.graph)
        for original in self.graph.node:
            node = type(original).FromString(original.SerializeToString())
            given = [name for name in node.input if name in self.floats]
            if node.op_type == "Cast" or not (given or self.floats.intersection(node.output)):
                computed: int = self.float
            elif node.op_type in KEEP_TYPE:
                computed = next((self.now[name] for name in given if name in self.now), self.float)
            else:
                pinned = self.pinned.intersection((*node.input, *node.output))
                wide = pinned or node.output[0] in outside or node.op_type in FLOAT_OPERATORS
                computed = self.float if wide else self.half
            for index, name in enumerate(node.input):
                if name in self.floats:
                    node.input[index] = self._as(name, computed)
            self.now.update((name, computed) for name in node.output if name in self.floats)
            self.nodes.append(node)
        for output in self.graph.output:
            if self.now.get(output.name) == self.half:
                self._widen(output.name)
        return self.nodes

    def _as(self, name: str, wanted: int) -> str:
        """The tensor or weight `name` in that type."""
        import onnx

        if (name not in self.weights and self.now[name] == wanted) or (name in self.weights and wanted == self.float):
            return name
        key = (name, wanted)
        if key not in self.casts:
            self.casts[key] = cast = f"{name}_{'half' if wanted == self.half else 'float'}"
            if name in self.weights:
                values = onnx.numpy_helper.to_array(self.weights[name])
                self.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float16), cast))
            else:
                self.nodes.append(onnx.helper.make_node("Cast", [name], [cast], f"{cast}_cast", to=wanted))
        return self.casts[key]

    def _widen(self, output: str) -> None:
        """Let the graph's output stay float32, under its name."""
        import onnx

        inner = f"{output}_half"
        for node in self.nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == output:
                        names[index] = inner
        self.nodes.append(onnx.helper.make_node("Cast", [inner], [output], f"{output}_cast", to=self.float))


def always_float(graph: "onnx.GraphProto") -> set[str]:
    """The tensors computed before the first layer and behind the last: float32, whatever the audit says."""
    return _before_layers(graph) | _behind_layers(graph)


def _before_layers(graph: "onnx.GraphProto") -> set[str]:
    """What is computed from the input without any layer: the pixels' normalisation."""
    behind: set[str] = set()
    before: set[str] = set()
    for node in graph.node:
        if "#" in node.name or behind.intersection(node.input):
            behind.update(node.output)
        else:
            before.update(node.output)
    return before


def _behind_layers(graph: "onnx.GraphProto") -> set[str]:
    """What no layer reads, directly or not: a detector's decoding."""
    read: set[str] = set()
    behind: set[str] = set()
    for node in reversed(graph.node):
        if "#" in node.name or read.intersection(node.output):
            read.update(node.input)
        else:
            behind.update(node.output)
    return behind


def audit_overflow(model: "onnx.ModelProto", extremes: "Mapping[str, Extremes]", pictures: str) -> OverflowAudit:
    """The range of every activation of `model` that may become float16, and which of them it is not trusted with.

    `extremes` are those of `float_activations`; `pictures` says what they were taken from. Infinite and undefined
    values are pinned too.
    """
    rows = []
    kinds, blocks, outside = _kinds(model), _blocks(model), always_float(model.graph)
    for tensor, found in extremes.items():
        if tensor in outside:
            continue
        safe = found.largest * HEADROOM <= LARGEST  # False for NaN
        rows.append(
            ActivationRange(
                tensor=tensor,
                block=blocks.get(tensor, "input"),
                kind=kinds.get(tensor, "other"),
                lowest=found.lowest,
                highest=found.highest,
                pinned=not safe,
            )
        )
    return OverflowAudit(pictures=pictures, limit=LARGEST, headroom=HEADROOM, ranges=tuple(rows))


def _kinds(model: "onnx.ModelProto") -> dict[str, str]:
    """What a tensor is where half precision is known to break: "norm" and "softmax" are their inputs."""
    sources = source_of(model)
    kinds: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "LayerNormalization":
            kinds.setdefault(sources.get(node.input[0], node.input[0]), "norm")
        elif node.op_type == "Softmax":
            kinds[sources.get(node.input[0], node.input[0])] = "softmax"
        elif node.op_type == "Add":
            kinds[node.output[0]] = "residual"
        elif block_of(node.name).endswith(".attn.sr"):
            kinds[node.output[0]] = "reduction"
    return kinds


def _blocks(model: "onnx.ModelProto") -> dict[str, str]:
    """The block that computed a tensor, or for operations between blocks the last one before."""
    blocks: dict[str, str] = {}
    for node in model.graph.node:
        known = [blocks[name] for name in node.input if name in blocks]
        block = block_of(node.name) if "#" in node.name else (known[-1] if known else "input")
        blocks.update(dict.fromkeys(node.output, block))
    return blocks
