"""What an export can write, in one file a target; `TARGETS` in the order in which they build on each other."""

from typing import TYPE_CHECKING

from pvt_edge.export.targets.onnx import OnnxTarget
from pvt_edge.export.targets.openvino import OpenVinoTarget
from pvt_edge.export.targets.target import ExportTarget
from pvt_edge.export.targets.tensorrt import TensorRtTarget

if TYPE_CHECKING:
    from pvt_edge.export.request import ExportRequest

TARGETS: tuple[type[ExportTarget], ...] = (OpenVinoTarget, OnnxTarget, TensorRtTarget)


def targets_of(request: "ExportRequest") -> tuple[type[ExportTarget], ...]:
    """Those that `request` asks something of."""
    return tuple(target for target in TARGETS if target.steps(request))


__all__ = ["TARGETS", "ExportTarget", "targets_of"]
