"""The steps of an export: every artifact written, checked and measured, and what they leave for each other."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle import BundleWriter
from pvt_edge.bundle.schema import AccuracyRecord, Artifact, OutputSpec, Precision
from pvt_edge.errors import ExportError
from pvt_edge.export.agreement import measure_agreement
from pvt_edge.export.approximation import LADDER, Approximation, choose, take
from pvt_edge.export.calibration import SCENES, CalibrationSet, calibration_from_images, calibration_from_scenes
from pvt_edge.export.deploy.backbone import Target
from pvt_edge.export.graph import INPUT_NAME, DeployGraph
from pvt_edge.export.metadata import describe_model
from pvt_edge.export.move_costs import measure_moves
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.openvino import own_biases, read_model, save_ir
from pvt_edge.export.parity import check_parity, check_runs, model_outputs
from pvt_edge.export.precision.judge import ALL
from pvt_edge.export.precision.record import ApproximationRecord
from pvt_edge.export.precision.trial import measure
from pvt_edge.export.quantising import Quantisation, beyond, make_judge, quantise
from pvt_edge.export.request import ENGINE_FORMATS, ExportRequest
from pvt_edge.export.tensorrt.writing import TensorRtExport, open_workshops, write_tensorrt
from pvt_edge.models import Model
from pvt_edge.moves import Moves
from pvt_edge.runtimes import missing, open_runtime
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    import openvino
    from numpy.typing import NDArray

    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.export.precision.record import MoveSensitivity

Progress = Callable[[int, int, str], None]  # steps done, steps in all, what is done now

PARITY_IMAGES = 2
AGREEMENT_IMAGES = 4
AUDIT_SCENES = 16  # drawn ones, where no pictures were given
ONNX_SECONDS, QUICK_ONNX_SECONDS = 6.0, 2.0
ACCURACY_SCENES, ACCURACY_SEED = 48, 3  # seeds of training and calibration lie elsewhere
CHOOSING_SCENES, CHOOSING_SEED = 24, 5
CHOOSING, JUDGING = slice(0, None, 2), slice(1, None, 2)  # of the pictures, where approximations are chosen on some


class Steps:
    """The steps of one export, and what they leave for each other."""

    def __init__(
        self, model: Model, request: ExportRequest, writer: BundleWriter, scratch: Path, progress: Progress | None
    ) -> None:
        self.model, self.request, self.writer, self.scratch, self.progress = model, request, writer, scratch, progress
        self.done = 0
        self.calibration: CalibrationSet | None = None
        self.quantisation: Quantisation | None = None
        self.tensorrt: TensorRtExport | None = None
        self.preferred: dict[str, Sequence[Precision]] = {}  # by runtime, the fastest first
        self.over_budget: dict[str, str] = {}  # what "auto" may not take, and why
        self.outputs: tuple[OutputSpec, ...] = ()  # as the first runtime that was checked has them
        self.reasons: dict[str, str] = {}  # why what was asked for is not written
        self.workshops, self.no_workshop = open_workshops(request)
        if request.int8:
            self.tell("collecting calibration pictures")
            self.calibration = self._collect_calibration()
        self.tell("rewriting the model into its deploy form")
        self.graph = DeployGraph(model, request.imgsz, normalisation=request.normalise)
        self.metadata = describe_model(request, model.backbone.variant.name, model.task)
        self.probes = self._probes(PARITY_IMAGES)
        self.expected = model_outputs(model, self.graph, self.probes)
        self.approximation: Approximation | None = None
        self.approximations: ApproximationRecord | None = None
        if request.approximates:
            self._approximate()

    def _approximate(self) -> None:
        """Take the moves of a plan, or choose some on pictures that judge nothing else."""
        request = self.request
        self.tell("choosing approximations")
        if isinstance(request.approximate, Moves):
            self.approximation = take(self.model, request.approximate)
            words = request.approximate.words(self.model.backbone.variant)
            self.approximations = ApproximationRecord(words=words, given=True)
            return
        pictures = self.calibration or self._audit_pictures()
        scenes = self._draw_scenes(CHOOSING_SCENES, CHOOSING_SEED, "choosing") if self.scenes else None
        judge = make_judge(request, self.model.task, pictures, scenes, CHOOSING)
        budget = request.budget(judge.metric.name)
        if budget is None:
            return
        ladder = LADDER
        alone: tuple[MoveSensitivity, ...] = ()
        if request.tune == "full":
            costs = measure_moves(self.model.backbone.variant, request.imgsz, self._moved, judge, self.tell_more)
            ladder, alone = costs.ladder, costs.alone
        self.approximation, record = choose(self.model, self.graph, judge, budget, self.tell_more, ladder)
        self.approximations = record.model_copy(update={"alone": alone})

    def _moved(self, moves: Moves) -> "openvino.Model":
        """The float model for OpenVINO that makes `moves`."""
        return self._openvino_model(take(self.model, moves).model, self.scratch / "alone.onnx")

    @property
    def deployed(self) -> Model:
        """The trained model as files of fp16 and int8 compute it."""
        return self.approximation.model if self.approximation else self.model

    def _judge(self, pictures: CalibrationSet) -> "Judge":
        """What artifacts are judged by; where moves were chosen on some of the pictures, the others."""
        chose = self.approximations is not None and not self.approximations.given
        return make_judge(self.request, self.model.task, pictures, self.scenes, JUDGING if chose else ALL)

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
            r.calib,
            r.imgsz,
            r.resize,
            count=r.calib_n,
            seed=r.seed,
            allow_small=r.allow_small,
            pixel_max=r.pixel_max,
        )

    def _probes(self, count: int) -> "list[NDArray[np.uint8]]":
        """Pictures to check on: of the calibration set where there is one, else drawn scenes."""
        if self.calibration is not None:
            return list(self.calibration.inputs[:count])
        return list(calibration_from_scenes(self.request.imgsz, self.request.resize, count=count).inputs)

    def write_artifacts(self) -> tuple[Artifact, ...]:
        """Every artifact asked for, written and checked."""
        artifacts = []
        request = self.request
        fp32_onnx = self.writer.path("model.fp32.onnx") if request.fp32_onnx else self.scratch / "model.onnx"
        if request.fp32_onnx or request.onnx_int8:
            self._write_onnx(self.graph, fp32_onnx)
        if request.fp32_onnx:
            artifacts.append(self.writer.artifact("onnxruntime", "fp32", "model.fp32.onnx"))
        if "openvino" in request.formats or request.cpu_int8:
            artifacts += self._write_openvino()
        if self.quantisation is not None and self.quantisation.plan and request.onnx_int8:
            artifacts += self._write_qdq(fp32_onnx)
        if request.tensorrt_graphs:
            artifacts += self._write_tensorrt()
        self.not_written = self._find_not_written(artifacts)
        if not artifacts:  # INT8 alone was asked for, and is not worth writing
            raise ExportError("; ".join(dict.fromkeys(self.not_written.values())))
        self._choose_onnx(artifacts)
        return tuple(artifacts)

    def _find_not_written(self, artifacts: Sequence[Artifact]) -> dict[str, str]:
        """Why what was asked for is not among the `artifacts`. Raises `ExportError` for an INT8 that is required."""
        held = {(artifact.runtime, artifact.precision) for artifact in artifacts}
        graphs = self.tensorrt.spec.graphs if self.tensorrt else {}
        missed = {}
        for runtime, precision in self.request.asked:
            if (runtime, precision) in held:
                continue
            name, engine = f"{runtime}-{precision}", runtime in ENGINE_FORMATS and precision in graphs
            missed[name] = "; ".join(self.no_workshop) if engine else self.reasons.get(name, "")
            if precision == "int8" and self.request.require_int8 and not engine:
                raise ExportError(f"INT8 is required and not there for {runtime}: {missed[name]}; nothing was written")
        return missed

    def _write_onnx(self, graph: DeployGraph, path: Path) -> None:
        self.tell("exporting ONNX")
        batch, dynamic = self.request.batch, self.request.dynamic_batch
        export_onnx(graph, path, batch=batch, dynamic_batch=dynamic, metadata=self.metadata)
        if (reason := missing("onnxruntime")) is not None:
            raise ExportError(f"the ONNX file cannot be checked: {reason}")
        self.tell("checking ONNX against the model")
        self._check("onnxruntime", path, "fp32")

    def _deployed(self, target: Target, batch: int = 1, model: Model | None = None) -> DeployGraph:
        """The graph of `model`, or of the exact one, that is shaped for `target`."""
        request, model = self.request, model or self.model
        return DeployGraph(model, request.imgsz, normalisation=request.normalise, target=target, batch=batch)

    def _write_openvino(self) -> list[Artifact]:
        artifacts = []
        self.tell("converting to OpenVINO")
        traced = self.scratch / "openvino.onnx"
        model = self._openvino_model(self.model, traced)
        keep = "openvino" in self.request.formats
        fp32 = self.writer.path("openvino/fp32.xml") if keep else self.scratch / "fp32.xml"
        self.metadata.write_openvino(model, "fp32")
        save_ir(model, fp32)
        self.tell("checking OpenVINO against the model")
        self._check("openvino", fp32, "fp32")
        if keep:
            artifacts.append(self._ir_artifact("fp32"))
        if self.calibration is not None and self.request.cpu_int8:
            moved = model
            if self.approximation:
                self.tell_more("converting the approximated model")
                moved = self._openvino_model(self.approximation.model, self.scratch / "moved.onnx")
            self._quantise(moved, self.calibration, exact=model)
            assert self.quantisation is not None
            if keep and self.quantisation.plan:
                placed = self.quantisation.openvino_model()
                self.metadata.write_openvino(placed, "int8")
                save_ir(placed, self.writer.path("openvino/int8.xml"))
                self._check_runs("openvino", "openvino/int8.xml")
                artifacts.append(self._ir_artifact("int8"))
        return artifacts

    def _openvino_model(self, model: Model, traced: Path) -> "openvino.Model":
        """`model` in OpenVINO's form, by way of an ONNX file."""
        graph = self._deployed("openvino", model=model)
        export_onnx(graph, traced, batch=self.request.batch, dynamic_batch=self.request.dynamic_batch)
        found = read_model(traced)
        own_biases(found)
        return found

    def _quantise(self, model: "openvino.Model", calibration: CalibrationSet, exact: "openvino.Model") -> None:
        self.tell("placing INT8")
        variant = self.model.backbone.variant.name
        judge, tell = self._judge(calibration), self.tell_more
        self.quantisation = quantise(model, judge, calibration, self.request, variant, INPUT_NAME, tell, exact)
        search, record = self.quantisation.search, self.quantisation.record
        if "openvino" in self.request.formats:
            self.preferred["openvino"] = search.preferred
        if not record.kept:
            self.reasons |= {"openvino-int8": record.verdict, "onnxruntime-int8": record.verdict}
        if (bf16 := search.candidates.get("bf16")) is not None and not bf16.within_budget:
            self.over_budget["openvino-bf16"] = beyond(bf16.drop, record)

    def _write_qdq(self, fp32: Path) -> list[Artifact]:
        import onnx

        assert self.quantisation is not None
        self.tell_more("judging INT8 in ONNX Runtime")
        if self.approximation:
            fp32 = self.scratch / "moved.onnxruntime.onnx"
            graph = self._deployed("onnxruntime", model=self.approximation.model)
            export_onnx(graph, fp32, batch=self.request.batch, dynamic_batch=self.request.dynamic_batch)
        model = self.quantisation.onnx_model(onnx.load(str(fp32)))
        self.quantisation = self.quantisation.judge_onnx(model)
        trial = self.quantisation.record.onnx
        if trial is not None and not trial.within_budget:
            self.reasons["onnxruntime-int8"] = f"in ONNX Runtime it {beyond(trial.drop, self.quantisation.record)}"
            return []
        self.metadata.write_onnx(model, "int8")
        onnx.save(model, str(self.writer.path("model.int8.onnx")))
        self._check_runs("onnxruntime", "model.int8.onnx")
        return [self.writer.artifact("onnxruntime", "int8", "model.int8.onnx")]

    def _write_tensorrt(self) -> list[Artifact]:
        self.tell("exporting ONNX for TensorRT")
        request = self.request
        batch = 1 if request.dynamic_batch else request.batch
        fp32 = self.scratch / "tensorrt.onnx"
        graph = self._deployed("tensorrt", batch, self.deployed)
        export_onnx(graph, fp32, batch=request.batch, dynamic_batch=request.dynamic_batch)
        self.tell("checking it against the model")
        self._check("onnxruntime", fp32, "fp32", self.deployed)
        self.tell("making graphs for TensorRT")
        seen = self.calibration or self._audit_pictures()
        judge = self._judge(seen)
        if self.approximation:  # what it loses is told against the exact model
            judge = replace(judge, reference=tuple(model_outputs(self.model, self.graph, judge.inputs)))
        self.tensorrt = write_tensorrt(
            fp32,
            self.writer,
            request,
            metadata=self.metadata,
            variant=self.model.backbone.variant.name,
            judge=judge,
            batches=seen.batches(batch),
            pictures=f"{seen.record.count} pictures of {seen.record.source}",
            workshops=self.workshops,
            reasons=self.no_workshop,
            tell=self.tell_more,
        )
        for library, fastest in self.tensorrt.auto_precision.items():
            others: list[Precision] = [precision for precision in self.tensorrt.spec.graphs if precision != fastest]
            self.preferred[library] = (fastest, *others)
        if request.int8 and "int8" not in self.tensorrt.spec.graphs:
            names = ("onnxruntime", *request.engine_formats)
            self.reasons |= {f"{name}-int8": self.tensorrt.record.notes[-1] for name in names}
        return self.tensorrt.artifacts

    def _audit_pictures(self) -> CalibrationSet:
        """What float16 is audited on where INT8 needs no pictures: those given, else drawn scenes."""
        r = self.request
        if r.calib is None:
            return calibration_from_scenes(r.imgsz, r.resize, count=AUDIT_SCENES, seed=r.seed)
        return calibration_from_images(
            r.calib, r.imgsz, r.resize, count=r.calib_n, seed=r.seed, allow_small=True, pixel_max=r.pixel_max
        )

    def _choose_onnx(self, artifacts: Sequence[Artifact]) -> None:
        """What "auto" is to take in ONNX Runtime, which has no CPU kernels for float16 and some pairs of INT8."""
        files = {a.precision: self.writer.path(a.file) for a in artifacts if a.runtime == "onnxruntime"}
        if len(files) < 2:
            return
        if self.request.tune == "off":
            self.preferred["onnxruntime"] = [p for p in ("fp32", "fp16", "int8") if p in files]
            return
        self.tell_more("timing ONNX Runtime")
        seconds = ONNX_SECONDS if self.request.tune == "full" else QUICK_ONNX_SECONDS
        with ExitStack() as opened:
            runtimes = {p: opened.enter_context(open_runtime("onnxruntime", path)) for p, path in files.items()}
            batch = max(next(iter(runtimes.values())).inputs[0].shape[0], 1)
            feeds = {INPUT_NAME: np.repeat(self.probes[0], batch, axis=0)}
            latency = measure({p: partial(runtime.infer, feeds) for p, runtime in runtimes.items()}, seconds)
        self.preferred["onnxruntime"] = sorted(files, key=lambda p: latency[p].p50)

    def _ir_artifact(self, precision: str) -> Artifact:
        return self.writer.artifact(
            "openvino", precision, f"openvino/{precision}.xml", companions=(f"openvino/{precision}.bin",)
        )

    def _check(self, runtime: str, path: Path, precision: str, model: Model | None = None) -> None:
        """Whether a file gives the answers of `model`, or of the exact one."""
        expected = self.expected if model in (None, self.model) else model_outputs(model, self.graph, self.probes)
        with open_runtime(runtime, path, precision=precision) as opened:
            check_parity(opened, INPUT_NAME, self.probes, expected, self.model.task)
            gives = {
                spec.name: OutputSpec(name=spec.name, dtype=spec.dtype, shape=spec.shape) for spec in opened.outputs
            }
        self.outputs = self.outputs or tuple(gives[name] for name in self.graph.output_names)

    def _check_runs(self, runtime: str, file: str) -> None:
        with open_runtime(runtime, self.writer.path(file), precision="int8") as opened:
            check_runs(opened, INPUT_NAME, self.probes)

    @cached_property
    def scenes(self) -> tuple[Path, str] | None:
        """The labelled data of bundled weights: generated scenes' COCO file, and what it is."""
        if self.request.bundled is None or self.request.postprocess is None:
            return None
        return self._draw_scenes(ACCURACY_SCENES, ACCURACY_SEED, "scenes")

    def _draw_scenes(self, count: int, seed: int, folder: str) -> tuple[Path, str]:
        from pvt_edge.scenes import write_scenes

        return write_scenes(self.scratch / folder, count, seed=seed), f"{count} generated scenes, seed {seed}"

    def measure_accuracy(self, artifacts: Sequence[Artifact]) -> AccuracyRecord | None:
        """AP on generated scenes of each artifact, for the weights that come with the package."""
        from pvt_edge.data.coco import read_coco
        from pvt_edge.evaluation.arrays import score_runtime

        post = self.request.postprocess
        if self.scenes is None or post is None:
            return None
        annotations, words = self.scenes
        self.tell(f"measuring accuracy on {words}")
        task, labels = get_task(self.model.task), self.request.labels
        dataset = read_coco(annotations, annotations.parent / "images")
        labelled = task.judge(dataset, labels, task.judged_at(post, labels))
        metrics = {}
        for artifact in artifacts:
            if artifact.runtime in ENGINE_FORMATS:
                continue
            path = self.writer.path(artifact.file)
            with open_runtime(artifact.runtime, path, precision=artifact.precision) as runtime:
                scores = score_runtime(task, labelled, runtime, self.request.resize, labels)
            by_class = {f"AP {name}": found["AP"] for name, found in scores.classes.items()}
            figures = {name: scores.figures[name] for name in ("AP", "AP50", "AP75")}
            metrics[f"{artifact.runtime}-{artifact.precision}"] = figures | by_class
        return AccuracyRecord(data=words, metrics=metrics)

    def measure_agreement(self, artifacts: Sequence[Artifact]) -> AccuracyRecord | None:
        """How far each artifact gives the trained model's answers, whatever gate it passed before."""
        self.tell("comparing answers with the trained model's")
        inputs = self._probes(AGREEMENT_IMAGES)
        more = model_outputs(self.model, self.graph, inputs[len(self.expected) :])
        return measure_agreement(
            artifacts,
            self.writer.path,
            inputs,
            [*self.expected, *more],
            task=self.model.task,
            post=self.request.postprocess,
            source=self.calibration.record.source if self.calibration else SCENES,
        )
