"""ONNX file -> OpenVINO IR."""

from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import ExportError, RuntimeMissingError
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.runtimes.openvino import openvino_core

if TYPE_CHECKING:
    import openvino


def read_model(path: Path) -> "openvino.Model":
    """The model of an ONNX or IR file."""
    try:
        import openvino  # noqa: F401 - asked before anything is read
    except ImportError:
        raise RuntimeMissingError('OpenVINO is not installed: pip install "pvt-edge[export]"') from None
    try:
        return openvino_core().read_model(path)
    except RuntimeError as error:
        raise ExportError(f"OpenVINO cannot read {path.name}: {one_line(error)}") from error


def save_ir(model: "openvino.Model", path: Path) -> Path:
    """Write `model` as IR to `path` (.xml), weights uncompressed, and return the path of the .bin beside it."""
    import openvino

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # what OpenVINO makes of a full disk
        raise ExportError(f"OpenVINO cannot write {path.name}: {one_line(error)} (is the disk full?)") from error
    return path.with_suffix(".bin")


def own_biases(model: "openvino.Model") -> None:
    """Give every bias a constant of its own, in place.

    The levels of a detector share theirs, and the CPU plugin fuses no bias into a convolution that another reads too.
    """
    import numpy as np
    import openvino.opset13 as op

    for add in model.get_ordered_ops():
        if add.get_type_name() != "Add":
            continue
        for i, value in enumerate(add.input_values()):
            node = value.get_node()
            if node.get_type_name() == "Reshape" and node.input_value(0).get_node().get_type_name() == "Constant":
                data = np.array(node.input_value(0).get_node().data).reshape(list(value.get_shape()))
                add.input(i).replace_source_output(op.constant(data).output(0))


def own_names(model: "openvino.Model") -> None:
    """Leave every output its own name alone, in place.

    Where the CPU plugin drops a conversion before an output, that would also be called by what it converted.
    """
    for result in model.get_results():
        node = result.input_value(0).get_node()
        if node.get_type_name() == "Convert":
            node.input_value(0).set_names(set())
