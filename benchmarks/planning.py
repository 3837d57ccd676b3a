"""What a run will measure: the bundle's rows, and bundles made only for it; and how long it will take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pvt_edge.benchmarks.comparison_models import COMPARISON_MODELS, STOCK
from pvt_edge.benchmarks.opening import COMPILED, TorchModel
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.record import ModelFacts
from pvt_edge.benchmarks.rows import Plan, check_any, plan_rows
from pvt_edge.benchmarks.stock import plan_comparison, plan_stock, stock_rows
from pvt_edge.bundle import Bundle
from pvt_edge.errors import ExportError
from pvt_edge.reporting.wording import counted, duration

SCENES, SCENES_SEED = 4, 5  # few: ranges do not change the time, and observing them takes some
# Seconds of a fresh process until its first result, and of opening once more, on two cores of a server
COLD_START_S = {"torch": 10.0, COMPILED: 75.0, "tensorrt": 12.0, "tensorrt-rtx": 12.0}
OPENING_S = {"torch": 1.0, COMPILED: 45.0}
OTHER_START_S, OTHER_OPENING_S = 4.0, 1.0
STOCK_S = 45.0  # a batch: the stock graph traced, and NNCF's calibration
PEAKS_S, LAYERS_S = 6.0, 3.0


@dataclass(frozen=True)
class Exported:
    """The bundle, the model it was made of, and what to know of it."""

    bundle: Bundle
    torch_model: TorchModel
    notes: tuple[str, ...]


def export_to_measure(
    folder: Path,
    variant: str,
    *,
    task: str | None = None,
    weights: str | None = None,
    head: str | None = None,
    imgsz: tuple[int, int] | None = None,
    batches: Sequence[int] = (1,),
    calib: str | None = None,
    int8: bool = True,
    on_step: Callable[[str], None] = lambda text: None,
) -> Exported:
    """ONNX and OpenVINO files in `folder`, in fp32 and by the recorded recipe in int8, nothing searched.

    Ranges are observed on `calib`, or on generated scenes: these do for speed, not for accuracy, and the notes say so.
    Several batches make the batch dynamic. `on_step` hears of each step. Raises a `PvtEdgeError` as an export does.
    """
    from pvt_edge.export.exporter import export_model
    from pvt_edge.scenes import write_scenes
    from pvt_edge.weights import get_bundled
    from pvt_edge.zoo import resolve_weights

    chosen = resolve_weights(variant, task, weights, head=head)
    notes = list(chosen.notes)
    name = chosen.model.weights_name
    bundled = get_bundled(name)
    drawn = int8 and calib is None and bundled is None
    if drawn:
        calib = str(write_scenes(folder / "scenes", SCENES, seed=SCENES_SEED).parent / "images")
        notes.append(f"INT8 ranges are of {SCENES} generated scenes: right for speed, not for accuracy")
    bundle = export_model(
        chosen.model,
        folder / "bundle",
        precisions=("fp32", "int8") if int8 else ("fp32",),
        imgsz=imgsz,
        calib=calib,
        calib_n=SCENES if drawn else 256,
        allow_small=drawn,
        max_drop=1.0 if drawn else None,
        metric="auto" if bundled else "agreement",
        tune="off",
        labels=chosen.labels,
        batch=batches[0] if len(batches) == 1 else 1,
        dynamic_batch=len(batches) > 1,
        weights_file=chosen.file,
        dialect=chosen.dialect,
        progress=lambda _done, _steps, text: on_step(text),
    )
    if int8 and not any(artifact.precision == "int8" for artifact in bundle.manifest.artifacts):
        notes.append("the exporter wrote no INT8: see pvt-edge export --int8")
    weights_name = bundled.name if bundled else weights
    if weights_name is None:  # resolve_weights takes nothing but the bundled ones unasked
        raise ExportError(f"no weights for {variant}: give them with --weights, or --weights none")
    model = TorchModel(
        chosen.variant,
        chosen.task,
        weights_name,
        head=None if bundled else head,
        normalisation=bundle.manifest.normalise,
    )
    return Exported(bundle, model, tuple(notes))


def estimate_seconds(runtimes: Sequence[str], options: Options, *, stock_exports: int = 0) -> float:
    """Seconds of a run whose rows are of these runtimes: start, warm-up and measuring of each, and what goes before."""
    starts = sum(
        OPENING_S.get(name, OTHER_OPENING_S) + (COLD_START_S.get(name, OTHER_START_S) if options.cold_start else 0.0)
        for name in runtimes
    )
    before = stock_exports * STOCK_S + options.roofline * PEAKS_S + options.layers * LAYERS_S
    return before + starts + len(runtimes) * _turns_s(options)


def estimate_words(runtimes: Sequence[str], options: Options, *, stock_exports: int = 0) -> str:
    """The estimate and what it is made of, in a line."""
    seconds = estimate_seconds(runtimes, options, stock_exports=stock_exports)
    start = (seconds - len(runtimes) * _turns_s(options)) / max(len(runtimes), 1)
    each = f"{start:.0f} s to prepare and start on average, {_turns_s(options):.0f} s of warm-up and measuring"
    return f"{counted(len(runtimes), 'row')}, about {duration(seconds)} on a quiet machine: each {each}"


def _turns_s(options: Options) -> float:
    """Of a row: inference alone, and end to end."""
    return (options.warmup_s + options.duration_s) * (1 + options.end_to_end)


def plan_run(
    bundle: Bundle,
    options: Options,
    torch_model: TorchModel | str,
    folder: Path,
    *,
    on_step: Callable[[str], None],
    announce: Callable[[str], None] | None,
) -> tuple[list[Plan], list[ModelFacts]]:
    """Every row, and what the comparison models are; the files of `options.compare` are written to `folder`.

    `on_step` hears of each export, `announce` before them how long the run will take. Raises a `PvtEdgeError` where
    nothing can run.
    """
    choice = options.choice
    batches = choice.batches or (bundle.manifest.input.batch,)
    plans = plan_rows(bundle, choice, torch_model)
    if announce:
        others = [name for name in options.compare if name != STOCK or not isinstance(torch_model, str)]
        exports = len(others) * len(batches)
        runtimes = [plan.row.runtime for plan in plans if plan.opening is not None]
        runtimes += [runtime for runtime, _ in stock_rows(choice)] * exports
        announce(estimate_words(runtimes, options, stock_exports=exports))
    models: dict[str, ModelFacts] = {}
    for name in options.compare:
        on_step(f"exporting {name} by the default route")
        for batch in batches:
            if name == STOCK:
                plans += plan_stock(bundle, choice, torch_model, folder, batch)
                continue
            found = plan_comparison(bundle, choice, COMPARISON_MODELS[name], folder, batch)
            plans += found.plans
            models |= {name: found.model} if found.model is not None else {}
    check_any(plans)
    return plans, list(models.values())
