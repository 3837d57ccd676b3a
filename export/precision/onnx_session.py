"""An ONNX model in memory, run on the CPU as it is: what graphs are judged and observed by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from pvt_edge.comparison.difference import Arrays

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
