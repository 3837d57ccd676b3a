"""What a model file says of itself: task, labels, resize and thresholds, for tools that never see model.json.

ONNX files have them as `metadata_props`, OpenVINO's as `rt_info/model_info` in the keys of Model API
(https://github.com/open-edge-platform/model_api). It reads ONNX files too, where a key is "model_info labels".
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pvt_edge
from pvt_edge.export.tasks import get_task_export

if TYPE_CHECKING:
    import onnx
    import openvino

    from pvt_edge.export.request import ExportRequest

# as Model API names them: a letterbox placed top left is its fit_to_window
_RESIZES = {"letterbox": "fit_to_window", "stretch": "standard", "crop": "crop"}
_INTERPOLATIONS = {"nearest": "NEAREST", "cubic": "CUBIC", "bicubic": "CUBIC", "lanczos": "CUBIC"}
_MODEL_INFO = "model_info"


@dataclass(frozen=True)
class ModelMetadata:
    """Texts by key: `plain` in our own words, lists and records as JSON; `model_api` as Model API reads them."""

    plain: dict[str, str]
    model_api: dict[str, str]

    def write_onnx(self, model: "onnx.ModelProto", precision: str) -> None:
        """Put them into `model`, in place of what tools have left there."""
        import onnx

        props = {**self.plain, "precision": precision}
        props |= {f"{_MODEL_INFO} {key}": value for key, value in self.model_api.items()}
        onnx.helper.set_model_props(model, props)

    def write_openvino(self, model: "openvino.Model", precision: str) -> None:
        """Put them into `model`; ours under `rt_info/pvt_edge`."""
        for key, value in {**self.plain, "precision": precision}.items():
            model.set_rt_info(value, ["pvt_edge", key])
        for key, value in self.model_api.items():
            model.set_rt_info(value, [_MODEL_INFO, key])


def describe_model(request: "ExportRequest", variant: str, task: str) -> ModelMetadata:
    """The metadata of every file of an export."""
    export, classes = get_task_export(task), len(request.labels)
    plain = {
        "pvt_edge": pvt_edge.__version__,
        "variant": variant,
        "task": task,
        "labels": json.dumps(request.labels, ensure_ascii=False),
        "input": request.input_spec.model_dump_json(),
        "resize": request.resize.model_dump_json(),
        "normalise": request.normalise.model_dump_json(),
    }
    if (activation := export.activation(classes)) is not None:
        plain["activation"] = activation
    if request.postprocess is not None:
        plain["postprocess"] = request.postprocess.model_dump_json()
    return ModelMetadata(plain, _model_api(request, export.model_type(classes)))


def _model_api(request: "ExportRequest", model_type: str | None) -> dict[str, str]:
    """Model API's keys. `model_type` is claimed where its wrapper reads our outputs: logits of two classes or more.

    Its detectors have names of outputs of their own and suppress no boxes. `mean_values` and `scale_values` change
    nothing, as the graph normalises.
    """
    height, width = request.imgsz
    found = {
        "mean_values": "0 0 0",
        "scale_values": "1 1 1",
        "resize_type": _RESIZES[request.resize.mode],
        "interpolation_mode": _INTERPOLATIONS.get(request.resize.interpolation, "LINEAR"),
        "pad_value": str(round(sum(request.resize.fill_bgr) / 3)),
        "reverse_input_channels": "False",
        "orig_height": str(height),
        "orig_width": str(width),
    }
    if request.labels:  # a list of words to it
        found["labels"] = " ".join("_".join(label.split()) or "_" for label in request.labels)
    if model_type is not None:
        found["model_type"] = model_type
    if request.postprocess is not None:
        found["confidence_threshold"] = str(request.postprocess.conf)
        found["iou_threshold"] = str(request.postprocess.iou)
    return found
