"""export_model: a trained model -> a bundle of checked artifacts."""

import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle import Bundle, BundleWriter
from pvt_edge.bundle.schema import (
    AccuracyRecord,
    Artifact,
    InputSpec,
    Manifest,
    PostprocessSpec,
    Precision,
    ResizeSpec,
    Task,
)
from pvt_edge.errors import ExportError
from pvt_edge.export.calibration import CalibrationSet, calibration_from_images, calibration_from_scenes
from pvt_edge.export.graph import INPUT_NAME, DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.openvino import own_biases, read_model, save_ir
from pvt_edge.export.parity import check_parity, check_runs, model_outputs
from pvt_edge.export.precision.search import SearchInterruptedError
from pvt_edge.export.precision.trial import measure
from pvt_edge.export.provenance import provenance
from pvt_edge.export.quantising import Quantisation, make_judge, quantise
from pvt_edge.export.report.report import write_report
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
    import openvino
    from numpy.typing import NDArray

    from pvt_edge.export.request import CalibrationSource

Progress = Callable[[int, int, str], None]  # steps done, steps in all, what is done now

PARITY_IMAGES = 2
ONNX_SECONDS = 6.0
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
    allow_small: bool = False,
    plan: "str | PathLike[str] | None" = None,
    max_drop: float | None = None,
    metric: str = "auto",
    tune: bool = True,
    data: "str | PathLike[str] | None" = None,
    images: "str | PathLike[str] | None" = None,
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
    folder, pattern, list or video), of which `calib_n` are drawn by `seed`, at least 16 unless `allow_small`; `plan`
    a precision plan (a JSON file, or a bundle with one) in place of a search; `max_drop` what INT8 may lose of
    `metric` (auto, agreement with FP32, top1, map), by default 0.005 of map and top1, 0.02 of agreement, and without
    limit for weights that were not loaded; `tune` whether placements are searched and timed, else the recorded recipe
    is taken; `data` labelled pictures: a COCO file with its `images`, or a folder of class folders; `labels` one per
    class; `batch` the
    static batch, or any with `dynamic_batch`; `resize` and `postprocess` what the bundle asks of its host;
    `weights_file`, `dialect` and `command` go into its provenance; `progress` is told each step. A model with the
    bundled weights brings its size, labels and calibration scenes, and its accuracy is measured.

    FP32 artifacts must give the model's answers before they are kept. INT8 ones must stay within the budget and be
    faster here than floats, or they are not written and the report says why. Raises a `PvtEdgeError` that says what
    failed, and then leaves whatever was in `out` as it was; `SearchInterruptedError` on Ctrl-C during the search, its
    measurements kept beside `out`.
    """
    bundled = get_bundled(model.weights_name)
    request = ExportRequest(
        allow_small=allow_small,
        plan=Path(plan) if plan is not None else None,
        max_drop=max_drop,
        metric=metric,
        tune=tune,
        data=Path(data) if data is not None else None,
        images=Path(images) if images is not None else None,
        trained=model.weights_name is not None,
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
    with tempfile.TemporaryDirectory() as scratch, BundleWriter(out) as writer:
        steps = _Steps(model, request, writer, Path(scratch), progress)
        try:
            artifacts = steps.write_artifacts()
        except SearchInterruptedError as interrupted:
            keep_measurements(interrupted, Path(out))
            raise
        accuracy = steps.measure_accuracy(artifacts) if bundled else None
        steps.tell("writing the bundle")
        chosen = steps.quantisation
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
            auto_precision=steps.auto_precision,
            precision_plan=chosen.plan.blocks if chosen and chosen.plan else None,
            calibration=steps.calibration.record if steps.calibration else None,
            accuracy=accuracy,
            provenance=provenance(
                model.weights_name or "a model in memory", weights_file=weights_file, dialect=dialect, command=command
            ),
        )
        if chosen is not None:
            write_report(writer.path("report.md").parent, manifest, chosen.record)
        return writer.finish(manifest)


class _Steps:
    """The steps of one export, and what they leave for each other."""

    def __init__(
        self, model: Model, request: ExportRequest, writer: BundleWriter, scratch: Path, progress: Progress | None
    ) -> None:
        self.model, self.request, self.writer, self.scratch, self.progress = model, request, writer, scratch, progress
        self.done = 0
        self.calibration: CalibrationSet | None = None
        self.quantisation: Quantisation | None = None
        self.auto_precision: dict[str, Precision] = {}
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

    def tell_more(self, step: str) -> None:
        """Say what goes on within a step."""
        if self.progress:
            self.progress(self.done - 1, self.request.step_count, step)

    def _collect_calibration(self) -> CalibrationSet:
        r = self.request
        if r.calib is None:
            return calibration_from_scenes(r.imgsz, r.resize, count=min(r.calib_n, 64), seed=r.seed)
        return calibration_from_images(
            r.calib, r.imgsz, r.resize, count=r.calib_n, seed=r.seed, allow_small=r.allow_small
        )

    def _probes(self) -> "list[NDArray[np.uint8]]":
        """Pictures for the parity checks: of the calibration set where there is one, else drawn scenes."""
        if self.calibration is not None:
            return list(self.calibration.inputs[:PARITY_IMAGES])
        scenes = calibration_from_scenes(self.request.imgsz, self.request.resize, count=PARITY_IMAGES)
        return list(scenes.inputs)

    def write_artifacts(self) -> tuple[Artifact, ...]:
        """Every artifact asked for, written and checked."""
        artifacts = []
        fp32_onnx = self.scratch / "model.onnx"
        if "onnx" in self.request.formats:
            keep = "fp32" in self.request.precisions
            fp32_onnx = self.writer.path("model.fp32.onnx") if keep else fp32_onnx
            self._write_onnx(self.graph, fp32_onnx)
            if keep:
                artifacts.append(self.writer.artifact("onnxruntime", "fp32", "model.fp32.onnx"))
        if "openvino" in self.request.formats or self.request.int8:
            artifacts += self._write_openvino()
        if self.quantisation is not None and self.quantisation.plan and "onnx" in self.request.formats:
            artifacts.append(self._write_qdq(fp32_onnx))
        if not artifacts:  # INT8 alone was asked for, and is not worth writing
            raise ExportError(self.quantisation.record.verdict if self.quantisation else "nothing to write")
        return tuple(artifacts)

    def _write_onnx(self, graph: DeployGraph, path: Path) -> None:
        self.tell("exporting ONNX")
        export_onnx(graph, path, batch=self.request.batch, dynamic_batch=self.request.dynamic_batch)
        if (reason := missing("onnxruntime")) is not None:
            raise ExportError(f"the ONNX file cannot be checked: {reason}")
        self.tell("checking ONNX against the model")
        self._check("onnxruntime", path, "fp32")

    def _write_openvino(self) -> list[Artifact]:
        artifacts = []
        self.tell("converting to OpenVINO")
        traced = self.scratch / "openvino.onnx"
        graph = DeployGraph(self.model, self.request.imgsz, for_openvino=True)
        export_onnx(graph, traced, batch=self.request.batch, dynamic_batch=self.request.dynamic_batch)
        model = read_model(traced)
        own_biases(model)
        keep = "openvino" in self.request.formats
        fp32 = self.writer.path("openvino/fp32.xml") if keep else self.scratch / "fp32.xml"
        save_ir(model, fp32)
        self.tell("checking OpenVINO against the model")
        self._check("openvino", fp32, "fp32")
        if keep:
            artifacts.append(self._ir_artifact("fp32"))
        if self.calibration is not None:
            self._quantise(model, self.calibration)
            assert self.quantisation is not None
            if keep and self.quantisation.plan:
                save_ir(self.quantisation.openvino_model(), self.writer.path("openvino/int8.xml"))
                self._check_runs("openvino", "openvino/int8.xml")
                artifacts.append(self._ir_artifact("int8"))
        return artifacts

    def _quantise(self, model: "openvino.Model", calibration: CalibrationSet) -> None:
        self.tell("placing INT8")
        judge = make_judge(self.request, _task(self.model), calibration, self.scenes)
        self.quantisation = quantise(
            model, judge, calibration, self.request, _variant(self.model), INPUT_NAME, self.tell_more
        )
        if "openvino" in self.request.formats:
            self.auto_precision["openvino"] = self.quantisation.search.fastest

    def _write_qdq(self, fp32: Path) -> Artifact:
        import onnx

        assert self.quantisation is not None
        path = self.writer.path("model.int8.onnx")
        onnx.save(self.quantisation.onnx_model(onnx.load(str(fp32))), str(path))
        self._check_runs("onnxruntime", "model.int8.onnx")
        if "fp32" in self.request.precisions:
            self.auto_precision["onnxruntime"] = self._faster_onnx(fp32, path)
        return self.writer.artifact("onnxruntime", "int8", "model.int8.onnx")

    def _faster_onnx(self, fp32: Path, int8: Path) -> Precision:
        """What "auto" is to take in ONNX Runtime, which has no kernels for some of INT8's pairs."""
        if not self.request.tune:
            return "fp32"
        self.tell_more("timing ONNX Runtime")
        with open_runtime("onnxruntime", fp32) as plain, open_runtime("onnxruntime", int8) as quantised:
            batch = max(plain.inputs[0].shape[0], 1)
            feeds = {INPUT_NAME: np.repeat(self.probes[0], batch, axis=0)}
            runs = {"fp32": lambda: plain.infer(feeds), "int8": lambda: quantised.infer(feeds)}
            latency = measure(runs, ONNX_SECONDS)
        return "int8" if latency["int8"].p50 < latency["fp32"].p50 else "fp32"

    def _ir_artifact(self, precision: str) -> Artifact:
        return self.writer.artifact(
            "openvino", precision, f"openvino/{precision}.xml", companions=(f"openvino/{precision}.bin",)
        )

    def _check(self, runtime: str, path: Path, precision: str) -> None:
        with open_runtime(runtime, path, precision=precision) as opened:
            check_parity(opened, INPUT_NAME, self.probes, self.expected)

    def _check_runs(self, runtime: str, file: str) -> None:
        with open_runtime(runtime, self.writer.path(file), precision="int8") as opened:
            check_runs(opened, INPUT_NAME, self.probes)

    @cached_property
    def scenes(self) -> tuple[Path, str] | None:
        """The labelled data of bundled weights: generated scenes' COCO file, and what it is."""
        if self.request.bundled is None or self.request.postprocess is None:
            return None
        from pvt_edge.scenes import write_scenes

        annotations = write_scenes(self.scratch / "scenes", ACCURACY_SCENES, seed=ACCURACY_SEED)
        return annotations, f"{ACCURACY_SCENES} generated scenes, seed {ACCURACY_SEED}"

    def measure_accuracy(self, artifacts: Sequence[Artifact]) -> AccuracyRecord | None:
        """AP on generated scenes of each artifact, for the weights that come with the package."""
        from pvt_edge.data.coco import read_coco
        from pvt_edge.metrics.detector import detector_accuracy

        post = self.request.postprocess
        if self.scenes is None or post is None:
            return None
        annotations, words = self.scenes
        self.tell(f"measuring accuracy on {words}")
        dataset = read_coco(annotations, annotations.parent / "images")
        metrics = {}
        for artifact in artifacts:
            path = self.writer.path(artifact.file)
            with open_runtime(artifact.runtime, path, precision=artifact.precision) as runtime:
                metrics[f"{artifact.runtime}-{artifact.precision}"] = detector_accuracy(
                    runtime, dataset, self.request.resize, post
                )
        return AccuracyRecord(data=words, metrics=metrics)


def keep_measurements(interrupted: SearchInterruptedError, out: Path) -> None:
    """Write what an interrupted search had measured beside the bundle, which stays as it was."""
    path = out.with_name(f"{out.name}.search.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(interrupted.record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    interrupted.args = (f"stopped during the search; {out} is as it was, what was measured is in {path}",)


def _task(model: Model) -> Task:
    if isinstance(model, Classifier):
        return "classify"
    return "detect" if isinstance(model, Detector) else "features"


def _variant(model: Model) -> str:
    backbone = model if isinstance(model, PVTv2) else model.backbone
    return backbone.variant.name
