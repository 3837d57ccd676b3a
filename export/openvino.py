"""ONNX file -> OpenVINO IR."""

from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import ExportError, RuntimeMissingError
from pvt_edge.runtimes.boundary import one_line

if TYPE_CHECKING:
    import openvino


def read_model(path: Path) -> "openvino.Model":
    """The model of an ONNX or IR file."""
    try:
        import openvino
    except ImportError:
        raise RuntimeMissingError('OpenVINO is not installed: pip install "pvt-edge[export]"') from None
    try:
        return openvino.Core().read_model(path)
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
