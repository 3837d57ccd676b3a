"""export_model: a trained model -> a bundle of checked artifacts."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, cast

from torch import nn

from pvt_edge.arguments import (
    check_kind,
    check_names,
    check_number,
    check_path,
    check_size,
    check_whole,
    refuse_unknown,
)
from pvt_edge.bundle import Bundle, BundleWriter
from pvt_edge.bundle.schema import MOVED, Manifest, PostprocessSpec, ResizeMode, ResizeSpec
from pvt_edge.engines.options import BuildOptions
from pvt_edge.errors import ArgumentError
from pvt_edge.export.approximation import read_approximation
from pvt_edge.export.auto_precision import choose_auto, find_excluded
from pvt_edge.export.precision.plan import read_plan
from pvt_edge.export.precision.search import SearchInterruptedError
from pvt_edge.export.preprocessing import resolve_preprocessing
from pvt_edge.export.provenance import provenance
from pvt_edge.export.report.report import write_report
from pvt_edge.export.request import (
    ExportRequest,
    Tune,
    check_labels,
    default_imgsz,
    default_labels,
    default_postprocess,
    default_resize,
)
from pvt_edge.export.steps import Progress, Steps
from pvt_edge.export.tasks import get_task_export
from pvt_edge.models import Model, check_model
from pvt_edge.moves import Moves
from pvt_edge.pixel_depth import check_pixel_max
from pvt_edge.preprocessing import Preprocessing
from pvt_edge.weights import get_bundled

if TYPE_CHECKING:
    from pvt_edge.export.request import CalibrationSource

CALL = "export_model()"


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
    tune: Tune | bool = "quick",
    approximate: "str | PathLike[str] | None" = None,
    require_int8: bool = False,
    data: "str | PathLike[str] | None" = None,
    images: "str | PathLike[str] | None" = None,
    labels: Sequence[str] | None = None,
    batch: int = 1,
    dynamic_batch: bool = False,
    engine: BuildOptions | None = None,
    resize: ResizeSpec | str | None = None,
    preprocessing: Preprocessing | None = None,
    postprocess: PostprocessSpec | None = None,
    pixel_max: "str | float | None" = None,
    weights_file: Path | None = None,
    dialect: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    **unknown: NoReturn,
) -> Bundle:
    """The bundle written to the folder `out`: `model` as plain files for `formats` in `precisions`.

    FP32 artifacts must give the model's answers before they are kept. FP16 ones must stay within the budget. INT8 ones
    must too, and those for the CPU be faster here than floats unless nothing is timed, or they are not written and the
    report says why. "auto" takes the fastest that stays within the budget and within the tolerance of `verify`.
    TensorRT's engines are built where it and a GPU are; elsewhere its graphs are written, for `build_bundle` on the
    device. A model with the bundled weights brings its size, labels and calibration scenes, and its accuracy is
    measured; one with published weights brings its labels.

    Args:
        model: From `create_model`.
        out: The folder of the bundle; on failure it stays as it was.
        formats: Among onnx, openvino, tensorrt, tensorrt-rtx.
        precisions: Among fp32, fp16 (of ONNX and TensorRT), int8.
        imgsz: (height, width), multiples of 32; by default the weights' own, else the task's.
        calib: Pictures for INT8: a folder, pattern, list or video.
        calib_n: How many of them are drawn.
        seed: By which they are.
        allow_small: Take fewer than 16.
        plan: A precision plan in place of a search: a JSON file, or a bundle with one; its moves too.
        max_drop: What INT8, FP16 and approximations together may lose of `metric`: by default 0.005 of map and top1,
            0.02 of agreement, and without limit for weights that were not loaded.
        metric: auto, agreement (with FP32), top1 or map.
        tune: "quick" to time the recorded placement of INT8 against floats, "full" to search and time placements,
            "off" to take the recorded one untimed (True is full, False off).
        approximate: "auto" to let files of int8 and fp16 leave out what costs most and helps least, inside the same
            budget; "none"; or a plan of such moves, a JSON file or a bundle that makes some. By default auto for int8
            without fp16, unless `tune` is off: who asks for INT8 has already given up the exact answer for speed, and
            set a budget for it. Weights that were not loaded are never approximated by "auto".
        require_int8: An INT8 asked for that is not worth writing is an `ExportError`.
        data: Labelled pictures: a COCO file, or a folder of class folders.
        images: The folder of a COCO file's pictures.
        labels: One name a class, in order.
        batch: The static batch, or any with `dynamic_batch`.
        dynamic_batch: Leave the batch free.
        engine: How TensorRT is to build.
        resize: A resize mode, or the whole resize in place of `preprocessing`'s.
        preprocessing: What is to stand over what lies beside the weights and the default; mean and std of values 0 to
            255 (or 0 to 1, where none is above 1).
        postprocess: Thresholds that the bundle asks of its host.
        pixel_max: The value that is white in pictures of 16 bits (4095, or "auto"), here and when the bundle runs.
        weights_file: For the provenance.
        dialect: For the provenance.
        command: For the provenance.
        progress: Is told each step: (steps done, steps in all, what is done now).

    Returns:
        The bundle, read back.

    Raises:
        PvtEdgeError: That says what failed; whatever was in `out` is as it was.
        SearchInterruptedError: On Ctrl-C during the search, its measurements kept beside `out`.
    """
    refuse_unknown(export_model, unknown)
    if isinstance(out, nn.Module):
        raise ArgumentError("export_model() takes the model first: export_model(model, out)")
    check_model(CALL, model)
    _check_places(out, calib, plan=plan, data=data, images=images)
    check_whole(CALL, calib_n=calib_n, seed=seed, batch=batch)
    check_number(CALL, optional=True, max_drop=max_drop)
    check_kind(CALL, "labels", labels, (list, tuple), "a list of names in class order")
    check_kind(CALL, "metric", metric, str, "a name")
    check_kind(CALL, "resize", resize, (str, ResizeSpec), "letterbox, stretch, crop or a ResizeSpec")
    check_kind(CALL, "postprocess", postprocess, PostprocessSpec, "a PostprocessSpec")
    check_kind(CALL, "engine", engine, BuildOptions, "BuildOptions")
    bundled = get_bundled(model.weights_name)
    asked = preprocessing or Preprocessing()
    pictures = resolve_preprocessing(
        default_resize(model, dialect),
        model.sidecar,
        Preprocessing(resize=cast("ResizeMode", resize)).over(asked) if isinstance(resize, str) else asked,
        whole_resize=None if isinstance(resize, str) else resize,
        labels_given=labels is not None,
    )
    request = ExportRequest(
        allow_small=allow_small,
        plan=read_plan(Path(plan), model.backbone.variant.name, model.task) if plan is not None else None,
        max_drop=max_drop,
        metric=metric,
        tune=tune if isinstance(tune, str) else "full" if tune else "off",
        require_int8=require_int8,
        data=Path(data) if data is not None else None,
        images=Path(images) if images is not None else None,
        trained=model.weights_name is not None,
        formats=check_names(CALL, "formats", formats),
        precisions=check_names(CALL, "precisions", precisions),
        imgsz=default_imgsz(model, bundled) if imgsz is None else check_size(CALL, imgsz),
        calib=calib,
        calib_n=calib_n,
        seed=seed,
        batch=batch,
        dynamic_batch=dynamic_batch,
        engine=engine or BuildOptions(),
        labels=check_labels(model, labels or (bundled.labels if bundled else default_labels(model))),
        resize=pictures.resize,
        normalise=pictures.normalise,
        postprocess=postprocess or default_postprocess(model, bundled),
        bundled=bundled.name if bundled else None,
        pixel_max=check_pixel_max(pixel_max),
    )
    request.check()
    request = replace(request, approximate=_approximations(approximate, request, model))
    with tempfile.TemporaryDirectory() as scratch, BundleWriter(out) as writer:
        steps = Steps(model, request, writer, Path(scratch), progress)
        try:
            artifacts = steps.write_artifacts()
        except SearchInterruptedError as interrupted:
            keep_measurements(interrupted, Path(out))
            raise
        accuracy = steps.measure_accuracy(artifacts) if bundled else None
        agreement = steps.measure_agreement(artifacts)
        graphs = steps.tensorrt.spec.graphs if steps.tensorrt else {}
        moves = steps.approximation.moves if steps.approximation else Moves()
        moved = MOVED if moves else ()
        excluded = find_excluded(model.task, agreement, steps.over_budget, graphs, moved)
        steps.tell("writing the bundle")
        chosen = steps.quantisation
        manifest = Manifest(
            variant=model.backbone.variant.name,
            task=model.task,
            labels=request.labels,
            input=request.input_spec,
            outputs=steps.outputs,
            resize=request.resize,
            normalise=request.normalise,
            postprocess=request.postprocess,
            activation=get_task_export(model.task).activation(len(request.labels)) or "softmax",
            artifacts=artifacts,
            auto_precision=choose_auto(steps.preferred, excluded),
            auto_excluded=excluded,
            not_written=steps.not_written,
            tensorrt=steps.tensorrt.spec if steps.tensorrt else None,
            moves=moves if any(artifact.precision in MOVED for artifact in artifacts) else Moves(),
            precision_plan=chosen.plan.blocks if chosen and chosen.plan else None,
            calibration=steps.calibration.record if steps.calibration else None,
            accuracy=accuracy,
            agreement=agreement,
            provenance=provenance(
                model.weights_name or "a model in memory",
                weights_file=weights_file,
                dialect=dialect,
                command=command,
                taken=pictures.taken,
            ),
        )
        if chosen is not None or steps.tensorrt is not None:
            search, engines = chosen.record if chosen else None, steps.tensorrt.record if steps.tensorrt else None
            write_report(writer.path("report.md").parent, manifest, search, engines, steps.approximations)
        return writer.finish(manifest)


def _approximations(
    given: "str | PathLike[str] | None", request: ExportRequest, model: Model
) -> Moves | Literal["auto", "none"]:
    """What `approximate` means: moves of a plan are read and checked before any work."""
    if given is None and request.plan is not None:
        request.plan.moves.check(model.backbone.variant, request.imgsz)
        return Moves(request.plan.moves.blocks(model.backbone.variant)) or "none"
    if given is None:
        return "auto" if request.int8 and not request.half and request.tune != "off" else "none"
    if given in ("auto", "none"):
        return "auto" if given == "auto" else "none"
    check_path(CALL, "approximate", given, "plan.json")
    return read_approximation(Path(given), model.backbone.variant, model.task, request.imgsz)


def _check_places(out: object, calib: object, **optional: object) -> None:
    """Raise `ArgumentError` where what should be a path is none."""
    check_path(CALL, "out", out, "out/b0")
    for name, given in optional.items():
        if given is not None:
            check_path(CALL, name, given, f"{name}/")
    pictures = calib if isinstance(calib, (list, tuple)) else [] if calib is None else [calib]
    for path in pictures:
        check_path(CALL, "calib", path, "images/")


def keep_measurements(interrupted: SearchInterruptedError, out: Path) -> None:
    """Write what an interrupted search had measured beside the bundle, which stays as it was."""
    path = out.with_name(f"{out.name}.search.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(interrupted.record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    interrupted.args = (f"stopped during the search; {out} is as it was, what was measured is in {path}",)
