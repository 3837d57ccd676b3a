"""export_model: a trained model -> a bundle of checked artifacts."""

import tempfile
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle import Bundle, BundleWriter
from pvt_edge.bundle.schema import AccuracyRecord, Artifact, InputSpec, Manifest, PostprocessSpec, ResizeSpec, Task
from pvt_edge.errors import ExportError
from pvt_edge.export.calibration import CalibrationSet, calibration_from_images, calibration_from_scenes
from pvt_edge.export.graph import INPUT_NAME, DeployGraph
from pvt_edge.export.int8 import quantise
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.openvino import read_model, save_ir
from pvt_edge.export.parity import check_parity, check_runs, model_outputs
from pvt_edge.export.provenance import provenance
from pvt_edge.export.request import (
    ExportRequest,
    check_labels,
    default_imgsz,
    default_labels,
    default_postprocess,
    default_resize,
)
from pvt_edge.models.backbone import PVTv2
from pvt_edge.models.classifier import Classifier
from pvt_edge.models.create import Model
from pvt_edge.models.detector import Detector
from pvt_edge.runtimes import missing, open_runtime
from pvt_edge.weights import get_bundled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.export.request import CalibrationSource

Progress = Callable[[int, int, str], None]  # steps done, steps in all, what is done now

PARITY_IMAGES = 2
ACCURACY_SCENES, ACCURACY_SEED = 48, 3  # seeds of training and calibration lie elsewhere


def export_model(
    model: Model,
    out: "str | PathLike[str]",
    *,
    formats: Sequence[str] = ("onnx", "openvino"),
    precisions: Sequence[str] = ("fp32",),
    imgsz: int | tuple[int, int] | None = None,
    calib: "CalibrationSource | None" = None,
    calib_n: int = 256,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    batch: int = 1,
    dynamic_batch: bool = False,
    resize: ResizeSpec | None = None,
    postprocess: PostprocessSpec | None = None,
    weights_file: Path | None = None,
    dialect: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """The bundle written to the folder `out`: `model` as plain files for `formats` in `precisions`.

    Args: `model` from `create_model`; `formats` among onnx, openvino; `precisions` among fp32, int8; `imgsz`
    (height, width), multiples of 32, by default 224x224, or 640x640 for detectors; `calib` pictures for INT8 (a
    folder, pattern, list or video), of which `calib_n` are drawn by `seed`; `labels` one per class; `batch` the
    static batch, or any with `dynamic_batch`; `resize` and `postprocess` what the bundle asks of its host;
    `weights_file`, `dialect` and `command` go into its provenance; `progress` is told each step. A model with the
    bundled weights brings its size, labels and calibration scenes, and its accuracy is measured.

    FP32 artifacts must give the model's answers before they are kept; INT8 ones must run and give numbers. Raises a
    `PvtEdgeError` that says what failed, and then leaves whatever was in `out` as it was.
    """
    bundled = get_bundled(model.weights_name)
    request = ExportRequest(
        formats=tuple(formats),
        precisions=tuple(precisions),
        imgsz=(imgsz, imgsz) if isinstance(imgsz, int) else imgsz or default_imgsz(model, bundled),
        calib=calib,
        calib_n=calib_n,
        seed=seed,
        batch=batch,
        dynamic_batch=dynamic_batch,
        labels=check_labels(model, labels or (bundled.labels if bundled else default_labels(model))),
        resize=resize or default_resize(model),
        postprocess=postprocess or default_postprocess(model, bundled),
        bundled=bundled.name if bundled else None,
    )
    request.check()
    with BundleWriter(out) as writer:
        steps = _Steps(model, request, writer, progress)
        artifacts = steps.write_artifacts()
        accuracy = steps.measure_accuracy(artifacts) if bundled else None
        steps.tell("writing the bundle")
        manifest = Manifest(
            variant=_variant(model),
            task=_task(model),
            labels=request.labels,
            input=InputSpec(
                name=INPUT_NAME,
                batch=batch,
                dynamic_batch=dynamic_batch,
                height=request.imgsz[0],
                width=request.imgsz[1],
            ),
            outputs=steps.graph.output_names,
            resize=request.resize,
            postprocess=request.postprocess,
            artifacts=artifacts,
            calibration=steps.calibration.record if steps.calibration else None,
            accuracy=accuracy,
            provenance=provenance(
                model.weights_name or "a model in memory", weights_file=weights_file, dialect=dialect, command=command
            ),
        )
        return writer.finish(manifest)


class _Steps:
    """The steps of one export, and what they leave for each other."""

    def __init__(self, model: Model, request: ExportRequest, writer: BundleWriter, progress: Progress | None) -> None:
        self.request, self.writer, self.progress = request, writer, progress
        self.done = 0
        self.calibration: CalibrationSet | None = None
        if request.int8:
            self.tell("collecting calibration pictures")
            self.calibration = self._collect_calibration()
        self.tell("rewriting the model into its deploy form")
        self.graph = DeployGraph(model, request.imgsz)
        self.probes = self._probes()
        self.expected = model_outputs(model, self.graph, self.probes)

    def tell(self, step: str) -> None:
        """Say that `step` begins."""
        if self.progress:
            self.progress(self.done, self.request.step_count, step)
        self.done += 1

    def _collect_calibration(self) -> CalibrationSet:
        r = self.request
        if r.calib is None:
            return calibration_from_scenes(r.imgsz, r.resize, count=min(r.calib_n, 64), seed=r.seed)
        return calibration_from_images(r.calib, r.imgsz, r.resize, count=r.calib_n, seed=r.seed)

    def _probes(self) -> "list[NDArray[np.uint8]]":
        """Pictures for the parity checks: of the calibration set where there is one, else drawn scenes."""
        if self.calibration is not None:
            return list(self.calibration.inputs[:PARITY_IMAGES])
        scenes = calibration_from_scenes(self.request.imgsz, self.request.resize, count=PARITY_IMAGES)
        return list(scenes.inputs)

    def write_artifacts(self) -> tuple[Artifact, ...]:
        """Every artifact asked for, written and checked."""
        artifacts = []
        with tempfile.TemporaryDirectory() as scratch:
            keep_onnx = "onnx" in self.request.formats and "fp32" in self.request.precisions
            onnx_path = self.writer.path("model.fp32.onnx") if keep_onnx else Path(scratch) / "model.onnx"
            self.tell("exporting ONNX")
            export_onnx(self.graph, onnx_path, batch=self.request.batch, dynamic_batch=self.request.dynamic_batch)
            if missing("onnxruntime") is None:
                self.tell("checking ONNX against the model")
                self._check("onnxruntime", onnx_path, "fp32")
            elif keep_onnx:
                raise ExportError(f"the ONNX file cannot be checked: {missing('onnxruntime')}")
            if keep_onnx:
                artifacts.append(self.writer.artifact("onnxruntime", "fp32", "model.fp32.onnx"))
            if "openvino" in self.request.formats:
                artifacts += self._write_openvino(onnx_path)
        return tuple(artifacts)

    def _write_openvino(self, onnx_path: Path) -> list[Artifact]:
        artifacts = []
        self.tell("converting to OpenVINO")
        model = read_model(onnx_path)
        fp32 = self.writer.path("openvino/fp32.xml")
        save_ir(model, fp32)
        self.tell("checking OpenVINO against the model")
        self._check("openvino", fp32, "fp32")
        artifacts.append(self._ir_artifact("fp32"))
        if self.calibration is not None:
            self.tell(f"quantising to INT8 on {len(self.calibration.inputs)} pictures")
            batches = self.calibration.batches(1 if self.request.dynamic_batch else self.request.batch)
            save_ir(quantise(model, batches, INPUT_NAME), self.writer.path("openvino/int8.xml"))
            with open_runtime("openvino", self.writer.path("openvino/int8.xml"), precision="int8") as opened:
                check_runs(opened, INPUT_NAME, self.probes)
            artifacts.append(self._ir_artifact("int8"))
        return artifacts

    def _ir_artifact(self, precision: str) -> Artifact:
        return self.writer.artifact(
            "openvino", precision, f"openvino/{precision}.xml", companions=(f"openvino/{precision}.bin",)
        )

    def _check(self, runtime: str, path: Path, precision: str) -> None:
        with open_runtime(runtime, path, precision=precision) as opened:
            check_parity(opened, INPUT_NAME, self.probes, self.expected)

    def measure_accuracy(self, artifacts: Sequence[Artifact]) -> AccuracyRecord | None:
        """AP on generated scenes of each OpenVINO artifact, for the weights that come with the package."""
        from pvt_edge.data.coco import read_coco
        from pvt_edge.metrics.detector import detector_accuracy
        from pvt_edge.scenes import write_scenes

        post = self.request.postprocess
        if post is None:
            return None
        metrics = {}
        with tempfile.TemporaryDirectory() as scratch:
            self.tell(f"measuring accuracy on {ACCURACY_SCENES} generated scenes")
            annotations = write_scenes(scratch, ACCURACY_SCENES, seed=ACCURACY_SEED)
            dataset = read_coco(annotations, annotations.parent / "images")
            for artifact in artifacts:
                path = self.writer.path(artifact.file)
                with open_runtime(artifact.runtime, path, precision=artifact.precision) as runtime:
                    metrics[f"{artifact.runtime}-{artifact.precision}"] = detector_accuracy(
                        runtime, dataset, self.request.resize, post
                    )
        return AccuracyRecord(data=f"{ACCURACY_SCENES} generated scenes, seed {ACCURACY_SEED}", metrics=metrics)


def _task(model: Model) -> Task:
    if isinstance(model, Classifier):
        return "classify"
    return "detect" if isinstance(model, Detector) else "features"


def _variant(model: Model) -> str:
    backbone = model if isinstance(model, PVTv2) else model.backbone
    return backbone.variant.name
