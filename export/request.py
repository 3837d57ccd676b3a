"""What an export is asked for, checked before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pvt_edge.arguments import check_kind, check_names, check_number, check_path, check_size, check_whole
from pvt_edge.bundle.schema import InputSpec, NormaliseSpec, PostprocessSpec, ResizeSpec
from pvt_edge.errors import ArgumentError, ExportError, UnknownNameError
from pvt_edge.export.approximation import read_approximation
from pvt_edge.export.deploy.form import check_imgsz
from pvt_edge.export.graph import INPUT_NAME
from pvt_edge.export.preprocessing import resolve_preprocessing
from pvt_edge.export.tasks import get_task_export
from pvt_edge.models import Model
from pvt_edge.models.table import moves_of
from pvt_edge.moves import Moves
from pvt_edge.options.build import BuildOptions
from pvt_edge.options.export import ExportOptions, Place, Tune
from pvt_edge.options.preprocessing import Preprocessing
from pvt_edge.pictures.resizing import PixelMax, check_pixel_max
from pvt_edge.precision_plan import PrecisionPlan, read_plan
from pvt_edge.tasks import TASKS
from pvt_edge.weights import BundledWeights, get_bundled
from pvt_edge.weights.published import labels_of

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import ResizeMode

CALL = "export_model()"
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


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The options of an export, with all that they leave open filled in for a model.

    Attributes:
        options: As given; of those below only these hold.
        formats: Of artifacts.
        precisions: Of artifacts.
        imgsz: (height, width) of the input.
        labels: One a class.
        resize: How pictures are brought to the input's size.
        normalise: How their values become the network's.
        taken: Where resize and normalisation came from, where that is not the default.
        postprocess: Thresholds; None for tasks without.
        pixel_max: What is white in pictures of 16 bits.
        plan: As read, before any work.
        tune: How INT8 is placed.
        engine: How TensorRT is to build.
        bundled: Name of bundled weights, which bring calibration and accuracy data of their own.
        trained: Whether the weights came from somewhere.
        approximate: The moves to take, or whether some are to be chosen.
    """

    options: ExportOptions
    formats: tuple[str, ...]
    precisions: tuple[str, ...]
    imgsz: tuple[int, int]
    labels: tuple[str, ...]
    resize: ResizeSpec
    normalise: NormaliseSpec
    taken: tuple[str, ...]
    postprocess: PostprocessSpec | None
    pixel_max: PixelMax
    plan: PrecisionPlan | None
    tune: Tune
    engine: BuildOptions
    bundled: str | None
    trained: bool
    approximate: Moves | Literal["auto", "none"] = "none"

    @property
    def approximates(self) -> bool:
        """Whether moves are to be chosen or taken; "auto" only where weights came from somewhere."""
        wanted = self.trained if self.approximate == "auto" else self.approximate != "none"
        return wanted and (self.int8 or self.half or self._cpu_floats)

    @property
    def approx(self) -> bool:
        """Whether float files that make moves are to be written beside the exact ones, which `fp32` is."""
        return self.approximates and self._cpu_floats

    @property
    def _cpu_floats(self) -> bool:
        return "fp32" in self.precisions and ("onnx" in self.formats or "openvino" in self.formats)

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
    def input_spec(self) -> InputSpec:
        """The graph's input as the bundle records it."""
        return InputSpec(
            name=INPUT_NAME,
            batch=self.options.batch,
            dynamic_batch=self.options.dynamic_batch,
            height=self.imgsz[0],
            width=self.imgsz[1],
            pixel_max=self.pixel_max,
        )

    def budget(self, metric: str) -> float | None:
        """How much of `metric` INT8 may lose; None for random weights, whose accuracy is stated but not gated."""
        if self.options.max_drop is not None:
            return self.options.max_drop
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
        if self.options.batch < 1:
            raise ExportError(f"batch must be at least 1, got {self.options.batch}")
        if self.int8 and self.options.calib is None and self.bundled is None:
            raise ExportError(
                "INT8 needs pictures to take ranges from: give a folder of typical images or a video with --calib "
                "(calib= in Python)"
            )
        if self.int8 and self.options.calib_n < 1:
            raise ExportError(f"calib_n must be at least 1, got {self.options.calib_n}")
        if self.options.seed < 0:
            raise ExportError(f"seed must be 0 or more, got {self.options.seed}")
        if self.plan is not None and self.int8 and "int8" not in self.plan.blocks.values():
            raise ExportError(
                "the precision plan runs no block in INT8: leave --int8 out (precisions= in Python), or name some"
            )
        if self.plan is not None and not self.int8 and not self.plan.moves:
            raise ExportError(
                "the precision plan places INT8 alone, which is not asked for: add --int8 (precisions= in Python), or "
                "leave --plan out (plan=)"
            )
        self._check_metric()

    def _check_metric(self) -> None:
        if self.tune not in TUNES:
            raise UnknownNameError("tune", self.tune, TUNES)
        options = self.options
        metrics = ("auto", "agreement", *(task.metric[0] for task in TASKS.values() if task.metric))
        if options.metric not in metrics:
            raise UnknownNameError("metric", options.metric, metrics)
        if options.max_drop is not None and not 0 <= options.max_drop <= 1:
            raise ExportError(f"max_drop is a fraction of the metric, 0 to 1, got {options.max_drop}")
        if options.metric not in ("auto", "agreement") and options.data is None and self.bundled is None:
            raise ExportError(
                f"the metric {options.metric} needs labelled pictures: give a COCO file, and its pictures with "
                "--images, or a folder of class folders with --data (data= in Python)"
            )
        if options.images is not None and options.data is None:
            raise ExportError(
                "--images (images= in Python) are the pictures of a COCO file: give the file with --data (data=)"
            )


def resolve_options(model: Model, options: ExportOptions) -> ExportRequest:
    """The options with all that they leave open, checked; a `PvtEdgeError` for what cannot be met."""
    _check_kinds(options)
    if moves := moves_of(model):
        raise ExportError(
            f"the model makes moves already ({moves.words(model.backbone.variant)}): take them off with "
            'apply_moves(model, NONE), and give them as a plan, approximate="moves.json"'
        )
    if options.logits and not get_task_export(model.task).more_outputs:
        raise ArgumentError(f"logits are what a segmenter gives beside its class map; the model's task is {model.task}")
    bundled = get_bundled(model.weights_name)
    asked, resize = options.preprocessing or Preprocessing(), options.resize
    pictures = resolve_preprocessing(
        default_resize(model, options.dialect),
        model.sidecar,
        Preprocessing(resize=cast("ResizeMode", resize)).over(asked) if isinstance(resize, str) else asked,
        whole_resize=None if isinstance(resize, str) else resize,
        labels_given=options.labels is not None,
    )
    plan, imgsz = options.plan, options.imgsz
    tune = "quick" if options.tune is None else options.tune
    request = ExportRequest(
        options=options,
        formats=check_names(CALL, "formats", options.formats),
        precisions=check_names(CALL, "precisions", options.precisions),
        imgsz=default_imgsz(model, bundled) if imgsz is None else check_size(CALL, imgsz),
        labels=check_labels(model, default_labels(model, bundled) if options.labels is None else options.labels),
        resize=pictures.resize,
        normalise=pictures.normalise,
        taken=pictures.taken,
        postprocess=options.postprocess or default_postprocess(model, bundled),
        pixel_max=check_pixel_max(options.pixel_max),
        plan=read_plan(Path(plan), model.backbone.variant.name, model.task) if plan is not None else None,
        tune=tune if isinstance(tune, str) else "full" if tune else "off",
        engine=options.engine or BuildOptions(),
        bundled=bundled.name if bundled else None,
        trained=model.weights_name is not None,
    )
    request.check()
    return replace(request, approximate=_approximations(options.approximate, request, model))


def _check_kinds(given: ExportOptions) -> None:
    """Raise `ArgumentError` for options of the wrong kind."""
    for name, place in (("plan", given.plan), ("data", given.data), ("images", given.images)):
        if place is not None:
            check_path(CALL, name, place, f"{name}/")
    pictures = given.calib if isinstance(given.calib, (list, tuple)) else [] if given.calib is None else [given.calib]
    for path in pictures:
        check_path(CALL, "calib", path, "images/")
    check_whole(CALL, calib_n=given.calib_n, seed=given.seed, batch=given.batch)
    check_number(CALL, optional=True, max_drop=given.max_drop)
    check_kind(CALL, "labels", given.labels, (list, tuple), "a list of names in class order")
    check_kind(CALL, "metric", given.metric, str, "a name")
    check_kind(CALL, "resize", given.resize, (str, ResizeSpec), "letterbox, stretch, crop or a ResizeSpec")
    check_kind(CALL, "postprocess", given.postprocess, PostprocessSpec, "a PostprocessSpec")
    check_kind(CALL, "engine", given.engine, BuildOptions, "BuildOptions")


def _approximations(given: Place | None, request: ExportRequest, model: Model) -> Moves | Literal["auto", "none"]:
    """What `approximate` means: moves of a plan are read and checked before any work."""
    if given is None and request.plan is not None:
        request.plan.moves.check(model.backbone.variant, request.imgsz)
        return Moves(request.plan.moves.blocks(model.backbone.variant)) or "none"
    if given is None:
        return "auto" if request.int8 and not request.half and request.tune != "off" else "none"
    options = request.options
    if given == "auto" and request.trained and options.calib is None and options.data is None and not request.bundled:
        raise ExportError(
            "approximations are chosen by what they lose on pictures: give a folder of typical ones with --calib "
            "(calib= in Python), or labelled ones with --data (data=)"
        )
    if given in ("auto", "none"):
        return "auto" if given == "auto" else "none"
    check_path(CALL, "approximate", given, "plan.json")
    return read_approximation(Path(given), model.backbone.variant, model.task, request.imgsz)


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


def default_labels(model: Model, bundled: BundledWeights | None = None) -> tuple[str, ...]:
    """Those of bundled or published weights or beside the weights, else class_0, class_1, ...; none for features."""
    if bundled is not None:
        return bundled.labels
    classes = model.num_classes
    known = labels_of(model.weights_name, model.task) or (model.sidecar and model.sidecar.labels) or ()
    return known if len(known) in (classes, _named(model)) else tuple(f"class_{i}" for i in range(classes))


def check_labels(model: Model, labels: Sequence[str]) -> tuple[str, ...]:
    """`labels` as the bundle holds them; raises `ExportError` when their number is not the model's class count."""
    classes = model.num_classes
    if len(labels) not in (classes, _named(model)):
        raise ExportError(f"{len(labels)} labels for a model of {classes} classes: give one label a class, in order")
    return get_task_export(model.task).labels([str(label) for label in labels])


def _named(model: Model) -> int:
    """How many labels the bundle has."""
    return len(get_task_export(model.task).labels([""] * model.num_classes))
