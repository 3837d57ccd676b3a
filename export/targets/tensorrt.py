"""Graphs for TensorRT and TensorRT-RTX, and their engines where they can be built here."""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pvt_edge.bundle.schema import Artifact, Precision, TensorRtSpec
from pvt_edge.engines.bundle_build import engine_artifact, faster_engine, profile_for, write_engines
from pvt_edge.engines.workshop import Workshop, open_workshop
from pvt_edge.errors import ExportError, RuntimeMissingError
from pvt_edge.export.agreement import model_outputs
from pvt_edge.export.precision.record import GraphTrial, TensorRtRecord
from pvt_edge.export.precision.tensorrt import TensorRtGraphs
from pvt_edge.export.request import ENGINE_FORMATS
from pvt_edge.export.targets.target import ExportTarget
from pvt_edge.precision_plan import plan_of

if TYPE_CHECKING:
    import onnx

    from pvt_edge.export.job import ExportJob
    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.export.request import ExportRequest


class TensorRtTarget(ExportTarget):
    """`model.fp16.onnx` and `model.int8.onnx`, strongly typed, and `tensorrt/*.engine`.

    The graphs are written wherever float16 is asked for too, since ONNX Runtime runs the same files.
    """

    formats: ClassVar = ENGINE_FORMATS

    def __init__(self, job: "ExportJob") -> None:
        super().__init__(job)
        self.workshops, self.no_workshop = _open_workshops(self.request)

    @classmethod
    def steps(cls, request: "ExportRequest") -> int:
        return 3 if request.tensorrt_graphs else 0

    def write(self) -> list[Artifact]:
        """As `ExportTarget.write`; `ExportError` too where float16 loses more than the budget allows, or no INT8
        placement stays within it and INT8 is all that was asked for."""
        job, request = self.job, self.request
        graphs, judge = self._graphs()
        trials, notes = [graphs.fp16()], list(self.no_workshop.values())
        kept: dict[Precision, Artifact] = {}
        if not trials[0].within_budget:
            raise ExportError(_too_much("float16", trials[0], request, judge))
        if request.half:
            kept["fp16"] = self._save(graphs.half, "fp16")
        plan = None
        if request.int8:
            tried, placed = graphs.int8(self._given(graphs), job.detail, search=request.tune != "off")
            trials += tried
            if placed is not None:
                kept["int8"] = self._save(placed.model, "int8")
                plan = plan_of(job.variant, judge.task, graphs.known, placed.blocks).blocks
            else:
                notes.append(_too_much("INT8 for TensorRT", tried[-1], request, judge))
                job.reasons |= {f"{name}-int8": notes[-1] for name in ("onnxruntime", *request.engine_formats)}
        if not kept:
            raise ExportError(notes[-1])
        job.tensorrt = TensorRtSpec(
            graphs={precision: artifact.file for precision, artifact in kept.items()},
            precision_plan=plan,
            float32=graphs.audit.pinned,
        )
        job.tensorrt_record = TensorRtRecord(
            metric=judge.metric,
            max_drop=request.budget(judge.metric.name),
            audit=graphs.audit,
            trials=tuple(trials),
            sensitivities=tuple(graphs.sensitivities),
            notes=tuple(notes),
        )
        job.reasons |= {f"{name}-{p}": why for name, why in self.no_workshop.items() for p in kept}
        return [*kept.values(), *(engine for shop in self.workshops for engine in self._build(shop, kept))]

    def _graphs(self) -> tuple[TensorRtGraphs, "Judge"]:
        """The model in TensorRT's form, checked, its float16 audited; and what judges it."""
        job, request = self.job, self.request
        job.begin("exporting ONNX for TensorRT")
        batch = 1 if request.options.dynamic_batch else request.options.batch
        fp32 = job.scratch / "tensorrt.onnx"
        job.trace(job.deployed, "tensorrt", fp32, batch)
        job.begin("checking it against the model")
        job.check("onnxruntime", fp32, "fp32", moved=job.approximation is not None)
        job.begin("making graphs for TensorRT")
        seen, judge = job.pictures.seen(), job.judge
        if job.approximation:  # what it loses is measured against the exact model
            judge = replace(judge, reference=tuple(model_outputs(job.model, job.graph, judge.inputs)))
        pictures = f"{seen.record.count} pictures of {seen.record.source}"
        job.detail(f"auditing float16 on {pictures}")
        budget = request.budget(judge.metric.name)
        return TensorRtGraphs(fp32, judge, seen.batches(batch), pictures=pictures, budget=budget), judge

    def _given(self, graphs: TensorRtGraphs) -> Collection[str] | None:
        """The blocks of the plan that was given."""
        plan = self.request.plan
        return None if plan is None else plan.int8_blocks(graphs.known, self.job.left_out)

    def _save(self, model: "onnx.ModelProto", precision: Precision) -> Artifact:
        import onnx

        self.job.metadata.write_onnx(model, precision)
        name = f"model.{precision}.onnx"
        onnx.save(model, str(self.job.writer.path(name)))
        return self.job.writer.artifact("onnxruntime", precision, name)

    def _build(self, workshop: Workshop, graphs: dict[Precision, Artifact]) -> list[Artifact]:
        """The engines of one library, and which of them "auto" prefers."""
        writer, request, on_step = self.job.writer, self.request, self.job.detail
        name = workshop.library.name
        options = replace(request.engine, batches=profile_for(request.options.dynamic_batch, request.engine))
        sources = {precision: writer.path(artifact.file) for precision, artifact in graphs.items()}
        passports = write_engines(writer, workshop, options, sources, graphs, on_step)
        for library, fastest in faster_engine(writer, request.input_spec, workshop, passports, on_step).items():
            self.job.preferred[library] = (fastest, *(precision for precision in graphs if precision != fastest))
        return [engine_artifact(writer, name, p, passport) for p, passport in passports.items()]


def _open_workshops(request: "ExportRequest") -> tuple[list[Workshop], dict[str, str]]:
    """What builds engines here, of the libraries asked for, and by name why another does not.

    TensorRT itself builds on the machine that runs the engine, so that it is not here is no error.
    """
    workshops, reasons = [], {}
    for name in request.engine_formats:
        try:
            workshops.append(open_workshop(name, request.engine))
        except RuntimeMissingError as error:
            if name != "tensorrt":
                raise
            reasons[name] = f"no engine was built here: {error}"
    return workshops, reasons


def _too_much(what: str, trial: GraphTrial, request: "ExportRequest", judge: "Judge") -> str:
    metric = judge.metric
    return (
        f"{what} loses {trial.drop:.4f} of {metric.words} on {metric.data}, more than {request.budget(metric.name):g}: "
        "it was not written; allow more with --max-drop (max_drop= in Python), "
        "or give pictures like those of the camera with --calib (calib=)"
    )
