"""The extremes of an ONNX model's activations over pictures: what INT8's grids and the overflow audit are made of."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.bundle.block_names import LAYERS, block_of
from pvt_edge.export.precision.layers import ALWAYS_FLOAT, MOVES

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.export.precision.layers import Ranges

_LOG_ERRORS = 3


def open_session(model: "onnx.ModelProto") -> Any:
    """An onnxruntime.InferenceSession of `model`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_ERRORS
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def outputs_of(model: "onnx.ModelProto", inputs: "Sequence[NDArray[np.uint8]]") -> "list[Arrays]":
    """Outputs by name, batch axis of 1, for each input (1, H, W, 3); it fills the whole of a static batch."""
    session = open_session(model)
    names = [output.name for output in session.get_outputs()]
    (takes,) = session.get_inputs()
    batch = takes.shape[0] if isinstance(takes.shape[0], int) else 1
    found: list[Arrays] = []
    for image in inputs:
        values = session.run(names, {takes.name: np.repeat(image, batch, axis=0)})
        found.append({name: value[:1] for name, value in zip(names, values, strict=True)})
    return found


@dataclass(frozen=True)
class Extremes:
    """Lowest and highest value of a tensor: of all pictures, and averaged over them."""

    lowest: float
    highest: float
    mean_lowest: float
    mean_highest: float

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(-self.lowest, self.highest)


def float_activations(model: "onnx.ModelProto") -> list[str]:
    """The float32 tensors that `model` computes, each once, less those that only move another one."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    values = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    computed = [name for node in graph.node if node.op_type not in MOVES for name in node.output]
    return [name for name in computed if values.get(name) == onnx.TensorProto.FLOAT]


def observe_extremes(
    model: "onnx.ModelProto", tensors: Collection[str], batches: "Sequence[NDArray[np.uint8]]"
) -> dict[str, Extremes]:
    """Extremes of `tensors` over `batches` of the input (B, H, W, 3), in float32 on the CPU.

    Only the two extremes of a tensor leave the graph, so the memory taken is the model's own.
    """
    import onnx

    probed = onnx.ModelProto.FromString(model.SerializeToString())
    del probed.graph.output[:]
    for index, name in enumerate(tensors):
        for kind in ("ReduceMin", "ReduceMax"):
            end = f"{kind}_{index}"
            probed.graph.node.append(onnx.helper.make_node(kind, [name], [end], end, keepdims=0))
            probed.graph.output.append(onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, []))
    session = open_session(probed)
    name = session.get_inputs()[0].name
    rows = np.array([session.run(None, {name: batch}) for batch in batches], np.float64)  # (batches, 2 tensors)
    lowest, highest = rows[:, 0::2], rows[:, 1::2]
    columns = zip(lowest.min(0), highest.max(0), lowest.mean(0), highest.mean(0), strict=True)
    return {name: Extremes(*map(float, column)) for name, column in zip(tensors, columns, strict=True)}


def source_of(model: "onnx.ModelProto") -> dict[str, str]:
    """For every tensor, the one that was computed: past what only moves it."""
    sources: dict[str, str] = {}
    for node in model.graph.node:
        for name in node.output:
            sources[name] = sources.get(node.input[0], node.input[0]) if node.op_type in MOVES else name
    return sources


def placeable_blocks(model: "onnx.ModelProto") -> list[str]:
    """The blocks that INT8 may run in TensorRT, in execution order."""
    names = [block_of(node.name) for node in model.graph.node if node.op_type in LAYERS and "#" in node.name]
    return [block for block in dict.fromkeys(names) if not block.endswith(ALWAYS_FLOAT)]


def layer_ranges(model: "onnx.ModelProto", extremes: dict[str, Extremes]) -> "Ranges":
    """Ranges of every layer's inputs by its key ("head.cls.0#2:0"), averaged over the pictures."""
    sources = source_of(model)
    ranges: Ranges = {}
    for node in model.graph.node:
        if node.op_type not in LAYERS or "#" not in node.name:
            continue
        for index in range(2):
            found = extremes.get(sources.get(node.input[index], node.input[index]))
            if found is not None:
                ranges[f"{node.name}:{index}"] = (found.mean_lowest, found.mean_highest)
    return ranges
