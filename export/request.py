"""What an export is asked for, checked before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pvt_edge.bundle.schema import InputSpec, NormaliseSpec, PostprocessSpec, ResizeSpec
from pvt_edge.engines.options import BuildOptions
from pvt_edge.errors import ExportError, UnknownNameError
from pvt_edge.export.deploy.form import check_imgsz
from pvt_edge.export.graph import INPUT_NAME
from pvt_edge.export.precision.plan import PrecisionPlan
from pvt_edge.export.tasks import get_task_export
from pvt_edge.models import Model
from pvt_edge.moves import Moves
from pvt_edge.pixel_depth import PixelMax
from pvt_edge.tasks import TASKS
from pvt_edge.weights import BundledWeights
from pvt_edge.weights.published import labels_of

FORMATS = ("onnx", "openvino", "tensorrt", "tensorrt-rtx")
ENGINE_FORMATS = ("tensorrt", "tensorrt-rtx")
# OpenVINO runs its fp32 file in float16, and an engine is never float32
FORMAT_PRECISIONS = {
    "onnx": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "int8"),
    "tensorrt": ("fp16", "int8"),
    "tensorrt-rtx": ("fp16", "int8"),
}
PRECISIONS = ("fp32", "fp16", "int8")
BUDGET, AGREEMENT_BUDGET = 0.005, 0.02  # of a metric of labels, and of agreement
TUNES = ("full", "quick", "off")
Tune = Literal["full", "quick", "off"]
CalibrationSource = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class ExportRequest:
    """The options of `export_model`, complete; see there."""

    formats: tuple[str, ...]
    precisions: tuple[str, ...]
    imgsz: tuple[int, int]
    calib: CalibrationSource | None
    calib_n: int
    seed: int
    batch: int
    dynamic_batch: bool
    labels: tuple[str, ...]
    resize: ResizeSpec
    postprocess: PostprocessSpec | None
    normalise: NormaliseSpec
    bundled: str | None  # name of bundled weights, which bring calibration and accuracy data of their own
    allow_small: bool = False
    plan: PrecisionPlan | None = None  # as read, before any work
    max_drop: float | None = None
    metric: str = "auto"
    tune: Tune = "full"
    data: str | Path | None = None
    images: str | Path | None = None
    trained: bool = True  # whether the weights came from somewhere
    require_int8: bool = False  # or nothing is written
    engine: BuildOptions = field(default_factory=BuildOptions)
    pixel_max: PixelMax = None
    approximate: Moves | Literal["auto", "none"] = "none"

    @property
    def approximates(self) -> bool:
        """Whether moves are to be chosen or taken; "auto" only where weights came from somewhere."""
        wanted = self.trained if self.approximate == "auto" else self.approximate != "none"
        return wanted and (self.int8 or self.half)

    @property
    def int8(self) -> bool:
        """Whether an INT8 artifact is asked for."""
        return "int8" in self.precisions

    @property
    def half(self) -> bool:
        """Whether a float16 graph is asked for."""
        return "fp16" in self.precisions

    @property
    def asked(self) -> tuple[tuple[str, str], ...]:
        """(runtime, precision) of every artifact asked for."""
        return tuple(
            ("onnxruntime" if name == "onnx" else name, precision)
            for name in self.formats
            for precision in self.precisions
            if precision in FORMAT_PRECISIONS[name]
        )

    @property
    def engine_formats(self) -> tuple[str, ...]:
        """The libraries that engines are asked of."""
        return tuple(name for name in ENGINE_FORMATS if name in self.formats)

    @property
    def tensorrt_graphs(self) -> bool:
        """Whether graphs for TensorRT are asked for; `model.int8.onnx` is then one of them."""
        return self.half or (self.int8 and bool(self.engine_formats))

    @property
    def cpu_int8(self) -> bool:
        """Whether INT8 is to be placed for the CPU too."""
        return self.int8 and ("openvino" in self.formats or not self.tensorrt_graphs)

    @property
    def fp32_onnx(self) -> bool:
        """Whether `model.fp32.onnx` is asked for."""
        return "onnx" in self.formats and "fp32" in self.precisions

    @property
    def onnx_int8(self) -> bool:
        """Whether `model.int8.onnx` is to be made of the placement for the CPU."""
        return self.cpu_int8 and "onnx" in self.formats and not self.tensorrt_graphs

    @property
    def input_spec(self) -> InputSpec:
        """The graph's input as the bundle records it."""
        return InputSpec(
            name=INPUT_NAME,
            batch=self.batch,
            dynamic_batch=self.dynamic_batch,
            height=self.imgsz[0],
            width=self.imgsz[1],
            pixel_max=self.pixel_max,
        )

    @property
    def step_count(self) -> int:
        """How many steps the export will tell of, the many of a precision search as one."""
        openvino, onnx = "openvino" in self.formats or self.cpu_int8, self.fp32_onnx or self.onnx_int8
        return (
            3
            + 2 * onnx
            + 2 * openvino
            + self.int8
            + self.cpu_int8
            + 3 * self.tensorrt_graphs
            + (self.bundled is not None)
            + self.approximates
        )

    def budget(self, metric: str) -> float | None:
        """How much of `metric` INT8 may lose; None for random weights, whose accuracy is stated but not gated."""
        if self.max_drop is not None:
            return self.max_drop
        return (AGREEMENT_BUDGET if metric == "agreement" else BUDGET) if self.trained else None

    def check(self) -> None:
        """Raise a `PvtEdgeError` that says the mend when the request cannot be met."""
        for kind, given, known in (("format", self.formats, FORMATS), ("precision", self.precisions, PRECISIONS)):
            for name in given:
                if name not in known:
                    raise UnknownNameError(kind, name, known)
        if not self.formats:
            raise ExportError(f"no format asked for: choose among {', '.join(FORMATS)}")
        if not self.precisions:
            raise ExportError(f"no precision asked for: choose among {', '.join(PRECISIONS)}")
        if self.half and not self.engine_formats and "onnx" not in self.formats:
            raise ExportError(
                "float16 is a precision of ONNX and TensorRT; OpenVINO runs its fp32 file in it where the device can: "
                "add onnx or tensorrt to the formats, or leave fp16 out"
            )
        if self.engine_formats and not self.tensorrt_graphs:
            raise ExportError("TensorRT engines are built in float16 or INT8: ask for fp16, int8 or both")
        check_imgsz(self.imgsz)
        if self.batch < 1:
            raise ExportError(f"batch must be at least 1, got {self.batch}")
        if self.int8 and self.calib is None and self.bundled is None:
            raise ExportError(
                "INT8 needs pictures to take ranges from: give a folder of typical images or a video with --calib "
                "(calib= in Python)"
            )
        if self.int8 and self.calib_n < 1:
            raise ExportError(f"calib_n must be at least 1, got {self.calib_n}")
        if self.plan is not None and self.int8 and "int8" not in self.plan.blocks.values():
            raise ExportError(
                "the precision plan runs no block in INT8: leave --int8 out (precisions= in Python), or name some"
            )
        self._check_metric()

    def _check_metric(self) -> None:
        if self.tune not in TUNES:
            raise UnknownNameError("tune", self.tune, TUNES)
        metrics = ("auto", "agreement", *(task.metric[0] for task in TASKS.values() if task.metric))
        if self.metric not in metrics:
            raise UnknownNameError("metric", self.metric, metrics)
        if self.max_drop is not None and not 0 <= self.max_drop <= 1:
            raise ExportError(f"max_drop is a fraction of the metric, 0 to 1, got {self.max_drop}")
        if self.metric not in ("auto", "agreement") and self.data is None and self.bundled is None:
            raise ExportError(
                f"the metric {self.metric} needs labelled pictures: give a COCO file, and its pictures with --images, "
                "or a folder of class folders with --data (data= in Python)"
            )
        if self.images is not None and self.data is None:
            raise ExportError(
                "--images (images= in Python) are the pictures of a COCO file: give the file with --data (data=)"
            )


def default_imgsz(model: Model, bundled: BundledWeights | None) -> tuple[int, int]:
    """(height, width) where none is asked for: the weights' own, else the task's."""
    if bundled is not None:
        return bundled.imgsz
    if model.sidecar is not None and model.sidecar.preprocessing.imgsz is not None:
        return model.sidecar.preprocessing.imgsz
    return get_task_export(model.task).default_imgsz


def default_resize(model: Model, dialect: str | None = None) -> ResizeSpec:
    """The rule of the published evaluation."""
    return get_task_export(model.task).resize(dialect == "timm" or model.weights_name == "imagenet:timm")


def default_postprocess(model: Model, bundled: BundledWeights | None) -> PostprocessSpec | None:
    """Thresholds of a detector; None for tasks without."""
    return get_task_export(model.task).postprocess(model, bundled)


def default_labels(model: Model) -> tuple[str, ...]:
    """Those of published weights or beside the weights, else class_0, class_1, ...; none for features."""
    classes = model.num_classes
    known = labels_of(model.weights_name, model.task) or (model.sidecar and model.sidecar.labels) or ()
    return known if len(known) == classes else tuple(f"class_{i}" for i in range(classes))


def check_labels(model: Model, labels: Sequence[str]) -> tuple[str, ...]:
    """`labels` as a tuple; raises `ExportError` when their number is not the model's class count."""
    classes = model.num_classes
    if len(labels) != classes:
        raise ExportError(f"{len(labels)} labels for a model of {classes} classes: give one label a class, in order")
    return tuple(str(label) for label in labels)
