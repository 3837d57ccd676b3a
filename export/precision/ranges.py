"""The range of every activation that INT8 may store, taken from calibration pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.export.precision.layers import find_layers, producer
from pvt_edge.runtimes.openvino_core import openvino_core

if TYPE_CHECKING:
    import openvino
    from numpy.typing import NDArray

Ranges = dict[str, tuple[float, float]]  # (lowest, highest) by a layer input's key, see `Layer.inputs`


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
