"""export_model: a trained model -> a bundle of checked artifacts."""

import tempfile
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path

from torch import nn

import pvt_edge
from pvt_edge.arguments import by_keywords, check_path
from pvt_edge.bundle import Bundle, BundleWriter
from pvt_edge.bundle.schema import MOVED, Manifest, Provenance
from pvt_edge.errors import ArgumentError, storable
from pvt_edge.export.auto_precision import choose_auto, find_excluded
from pvt_edge.export.job import ExportJob
from pvt_edge.export.precision.search import SearchInterruptedError
from pvt_edge.export.report.files import write_report
from pvt_edge.export.request import resolve_options
from pvt_edge.export.targets import targets_of
from pvt_edge.export.tasks import get_task_export
from pvt_edge.machine.cpu import read_cpu
from pvt_edge.machine.installed import versions
from pvt_edge.models import Model, check_model
from pvt_edge.moves import Moves
from pvt_edge.options.export import DEFAULTS, ExportOptions
from pvt_edge.weights.obtaining import hash_file

PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "numpy")


def provenance(
    weights: str,
    *,
    weights_file: Path | None = None,
    dialect: str | None = None,
    command: str | None = None,
    taken: tuple[str, ...] = (),
) -> Provenance:
    """The record of this export; `weights_file` is hashed when given."""
    return Provenance(
        pvt_edge=pvt_edge.__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=None if command is None else storable(command),
        weights=storable(weights),
        weights_sha256=hash_file(weights_file) if weights_file else None,
        dialect=dialect,
        taken=taken,
        versions=versions(PACKAGES),
        machine=read_cpu().name,
    )


@by_keywords(ExportOptions)
def export_model(model: Model, out: "str | PathLike[str]", options: ExportOptions = DEFAULTS) -> Bundle:
    """The bundle written to the folder `out`: `model` as plain files for `formats` in `precisions`.

    FP32 artifacts must give the model's answers before they are kept. FP16 ones must stay within the budget. INT8 ones
    and approximated floats must too, and those for the CPU be faster here than floats unless nothing is timed, or
    they are not written and the report says why. "auto" takes the fastest that stays within the budget and within the
    tolerance of `verify`. TensorRT's engines are built where it and a GPU are; elsewhere its graphs are written, for
    `build_bundle` on the device. A model with the bundled weights brings its size, labels and calibration scenes, and
    its accuracy is measured; one with published weights brings its labels.

    Args:
        model: From `create_model`.
        out: The folder of the bundle; on failure it stays as it was.
        options: The fields of `pvt_edge.options.export.ExportOptions`, each given as a keyword of this call:
            `export_model(model, "out/b2", precisions=("fp32", "int8"), imgsz=224, calib="images/")`.

    Returns:
        The bundle, read back.

    Raises:
        PvtEdgeError: That says what failed; whatever was in `out` is as it was.
        SearchInterruptedError: On Ctrl-C during the search, its measurements kept beside `out`.
    """
    if isinstance(out, nn.Module):
        raise ArgumentError("export_model() takes the model first: export_model(model, out)")
    check_model("export_model()", model)
    check_path("export_model()", "out", out, "out/b0")
    request = resolve_options(model, options)
    targets = targets_of(request)
    with tempfile.TemporaryDirectory() as scratch, BundleWriter(out) as writer:
        steps = sum(target.steps(request) for target in targets)
        job = ExportJob(model, request, writer, Path(scratch), steps, options.progress)
        try:
            artifacts = job.write_artifacts([target(job) for target in targets])
        except SearchInterruptedError as interrupted:
            keep_measurements(interrupted, Path(out))
            raise
        accuracy = job.measure_accuracy(artifacts) if request.bundled else None
        agreement = job.measure_agreement(artifacts)
        graphs = job.tensorrt.graphs if job.tensorrt else {}
        moves = job.approximation.moves if job.approximation else Moves()
        moved = MOVED if moves else ()
        excluded = find_excluded(model.task, agreement, job.over_budget, graphs, moved)
        job.begin("writing the bundle")
        chosen, calibration = job.quantisation, job.pictures.calibration
        manifest = Manifest(
            variant=model.backbone.variant.name,
            task=model.task,
            labels=request.labels,
            input=request.input_spec,
            outputs=job.outputs,
            resize=request.resize,
            normalise=request.normalise,
            postprocess=request.postprocess,
            activation=get_task_export(model.task).activation(len(request.labels)) or "softmax",
            artifacts=artifacts,
            auto_precision=choose_auto(job.preferred, excluded),
            auto_excluded=excluded,
            not_written=job.find_not_written(artifacts),
            tensorrt=job.tensorrt,
            moves=moves if any(artifact.approximated for artifact in artifacts) else Moves(),
            precision_plan=chosen.plan.blocks if chosen and chosen.plan and job.writes_plan(artifacts) else None,
            calibration=calibration.record if calibration else None,
            accuracy=accuracy,
            agreement=agreement,
            provenance=provenance(
                model.weights_name or "a model in memory",
                weights_file=options.weights_file,
                dialect=options.dialect,
                command=options.command,
                taken=request.taken,
            ),
        )
        if chosen is not None or job.tensorrt is not None or job.approximations is not None:
            folder, search = writer.path("report.md").parent, chosen.record if chosen else None
            write_report(folder, manifest, search, job.tensorrt_record, job.approximations)
        return writer.finish(manifest)


def keep_measurements(interrupted: SearchInterruptedError, out: Path) -> None:
    """Write what an interrupted search had measured beside the bundle, which stays as it was."""
    path = out.with_name(f"{out.name}.search.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(interrupted.record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    interrupted.args = (f"stopped during the search; {out} is as it was, what was measured is in {path}",)
