"""ONNX file -> OpenVINO IR."""

from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import ExportError, RuntimeMissingError

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
        raise ExportError(f"OpenVINO cannot read {path.name}: {error}") from error


def save_ir(model: "openvino.Model", path: Path) -> Path:
    """Write `model` as IR to `path` (.xml), weights uncompressed, and return the path of the .bin beside it."""
    import openvino

    path.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, path, compress_to_fp16=False)
    return path.with_suffix(".bin")
