"""The TensorRT part of an export: graphs judged and written, engines built where they can be."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.bundle import BundleWriter
from pvt_edge.bundle.schema import Artifact, Precision, TensorRtSpec
from pvt_edge.engines.bundle_build import engine_artifact, faster_engine, profile_for, write_engines
from pvt_edge.engines.workshop import Workshop, open_workshop
from pvt_edge.errors import ExportError, RuntimeMissingError
from pvt_edge.export.precision.plan import plan_of
from pvt_edge.export.precision.record import GraphTrial, TensorRtRecord
from pvt_edge.export.tensorrt.graphs import TensorRtGraphs

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from pvt_edge.export.metadata import ModelMetadata
    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.export.request import ExportRequest


@dataclass
class TensorRtExport:
    """What was written for TensorRT, and what was found out."""

    spec: TensorRtSpec
    record: TensorRtRecord
    artifacts: list[Artifact] = field(default_factory=list)
    auto_precision: dict[str, Precision] = field(default_factory=dict)


def open_workshops(request: "ExportRequest") -> tuple[list[Workshop], list[str]]:
    """What builds engines here, of the libraries asked for, and why the others do not.

    TensorRT itself builds on the machine that runs the engine, so that it is not here is no error.
    """
    workshops, reasons = [], []
    for name in request.engine_formats:
        try:
            workshops.append(open_workshop(name, request.engine))
        except RuntimeMissingError as error:
            if name != "tensorrt":
                raise
            reasons.append(f"no engine was built here: {error}")
    return workshops, reasons


def write_tensorrt(
    fp32: Path,
    writer: BundleWriter,
    request: "ExportRequest",
    *,
    metadata: "ModelMetadata",
    variant: str,
    judge: "Judge",
    batches: "Sequence[NDArray[np.uint8]]",
    pictures: str,
    workshops: Sequence[Workshop],
    reasons: Sequence[str],
    tell: Callable[[str], None],
) -> TensorRtExport:
    """Write the graphs of `fp32` (an ONNX file in TensorRT's form) that `request` asks for, and their engines.

    Raises `ExportError` where FP16 loses more than the budget allows, or no INT8 placement stays within it and INT8
    is all that was asked for.
    """
    tell(f"auditing float16 on {pictures}")
    graphs = TensorRtGraphs(fp32, judge, batches, pictures=pictures, budget=request.budget(judge.metric.name))
    trials, notes = [graphs.fp16()], list(reasons)
    kept: dict[Precision, Artifact] = {}
    if not trials[0].within_budget:
        raise ExportError(_too_much("float16", trials[0], request, judge))
    if request.half:
        kept["fp16"] = _save(graphs.half, writer, "fp16", metadata)
    plan = None
    if request.int8:
        tried, placed = graphs.int8(_given(request, graphs), tell)
        trials += tried
        if placed is not None:
            kept["int8"] = _save(placed.model, writer, "int8", metadata)
            plan = plan_of(variant, judge.task, graphs.known, placed.blocks).blocks
        else:
            notes.append(_too_much("INT8 for TensorRT", tried[-1], request, judge))
    if not kept:
        raise ExportError(notes[-1])
    spec = TensorRtSpec(
        graphs={precision: artifact.file for precision, artifact in kept.items()},
        precision_plan=plan,
        float32=graphs.audit.pinned,
    )
    metric = judge.metric
    record = TensorRtRecord(
        metric=metric,
        max_drop=request.budget(metric.name),
        audit=graphs.audit,
        trials=tuple(trials),
        notes=tuple(notes),
    )
    export = TensorRtExport(spec, record, list(kept.values()))
    for workshop in workshops:
        _build(export, workshop, writer, request, kept, tell)
    return export


def _save(model: "onnx.ModelProto", writer: BundleWriter, precision: Precision, metadata: "ModelMetadata") -> Artifact:
    import onnx

    metadata.write_onnx(model, precision)
    name = f"model.{precision}.onnx"
    onnx.save(model, str(writer.path(name)))
    return writer.artifact("onnxruntime", precision, name)


def _given(request: "ExportRequest", graphs: TensorRtGraphs) -> Collection[str] | None:
    """The blocks of the plan that was given."""
    if request.plan is None:
        return None
    return request.plan.int8_blocks(graphs.known)


def _build(
    export: TensorRtExport,
    workshop: Workshop,
    writer: BundleWriter,
    request: "ExportRequest",
    graphs: Mapping[Precision, Artifact],
    tell: Callable[[str], None],
) -> None:
    name = workshop.library.name
    options = replace(request.engine, batches=profile_for(request.dynamic_batch, request.engine))
    sources = {precision: writer.path(artifact.file) for precision, artifact in graphs.items()}
    passports = write_engines(writer, workshop, options, sources, graphs, tell)
    export.artifacts += [engine_artifact(writer, name, p, passport) for p, passport in passports.items()]
    export.auto_precision |= faster_engine(writer, request.input_spec, workshop, list(passports), tell)


def _too_much(what: str, trial: GraphTrial, request: "ExportRequest", judge: "Judge") -> str:
    metric = judge.metric
    return (
        f"{what} loses {trial.drop:.4f} of {metric.words} on {metric.data}, more than {request.budget(metric.name):g}: "
        "it was not written; allow more with --max-drop (max_drop= in Python), "
        "or give pictures like those of the camera with --calib (calib=)"
    )
