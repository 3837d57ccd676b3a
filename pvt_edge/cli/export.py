"""`pvt-edge export`: a checkpoint -> a bundle."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from pvt_edge.cli.export_summary import asked_for, print_summary
from pvt_edge.cli.options import JsonReport, check_json, console_beside, parse_batch, read_labels, write_json
from pvt_edge.cli.progress import download_shown, interruptible, passing_bar, step_log
from pvt_edge.cli.spread import spread
from pvt_edge.options.build import BuildOptions
from pvt_edge.options.export import ExportOptions, Tune
from pvt_edge.options.preprocessing import Preprocessing


@spread(
    after={
        "formats": ["fp16", "int8"],
        "approximate": ["no_tune"],
        "require_int8": ["num_classes", "head"],
        "logits": ["labels", "batch"],
        "dynamic_batch": ["engine"],
    }
)
def export(
    *,
    variant: Annotated[
        str | None,
        typer.Option(
            help="b0 to b5, b2-li, v1-tiny, v1-small, v1-medium or v1-large. Default: what the file of --weights holds."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint file or a folder with one, imagenet or coco (published, downloaded once; imagenet:timm "
            "and imagenet:hf are other origins), cells or cells-seg (bundled, for b0) or none (random).",
            metavar="FILE|DIR|NAME",
        ),
    ] = None,
    ema: Annotated[
        bool | None,
        typer.Option(
            "--ema/--no-ema",
            help="Of averaged weights and others in one file take the averaged, or the others. Default: those that its "
            "trainer evaluates.",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="classify, features, detect or segment. Default: what the weights are for.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Download nothing: published weights must be in the cache.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The bundle. Default: out/<variant>-<task>.", metavar="DIR")] = None,
    options: ExportOptions,
    fp16: Annotated[bool, typer.Option("--fp16", help="A float16 ONNX as well, which TensorRT builds.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to INT8 as well.")] = False,
    no_tune: Annotated[bool, typer.Option("--no-tune", help="--tune off.")] = False,
    num_classes: Annotated[int | None, typer.Option(min=1, help="Default: what the weights have.")] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="Of a detector: retinanet or lite. Of a segmenter: lite, linear, fpn or upernet, a width behind a "
            "colon (upernet:128). Default: what the weights have."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Text file with one label a line, or imagenet or coco.", metavar="FILE|NAME")
    ] = None,
    batch: Annotated[
        str, typer.Option(help="Static batch size; with --dynamic-batch TensorRT's lowest,best,highest.", metavar="N")
    ] = "1",
    engine: BuildOptions,
    pictures: Preprocessing,
    json: JsonReport = None,
) -> None:
    """Export a checkpoint to a bundle for ONNX Runtime, OpenVINO and TensorRT, each file checked against the model."""
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

    if variant is None and weights is None:
        raise typer.BadParameter("give a variant, or a checkpoint with --weights that tells it", param_hint="--variant")
    console = console_beside(json)
    check_json(json)
    started = perf_counter()
    tune = _tune(options.tune, no_tune)
    batch_size, batches = parse_batch(batch, options.dynamic_batch)
    int8 = int8 or options.require_int8
    # an engine is float16 unless INT8 is asked for, never float32
    fp16 = fp16 or (not int8 and any(name.startswith("tensorrt") for name in options.formats))
    options = replace(
        options,
        precisions=("fp32", *(("fp16",) if fp16 else ()), *(("int8",) if int8 else ())),
        tune=tune,
        batch=batch_size,
        engine=replace(engine, batches=batches),
        preprocessing=pictures,
        command=shlex.join(["pvt-edge", *sys.argv[1:]]),
    )
    columns = (SpinnerColumn(), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    bar = passing_bar(console, *columns, TimeElapsedColumn(), redirect=False)
    with interruptible(), download_shown(console) as arrived:
        from pvt_edge.zoo import resolve_weights

        chosen = resolve_weights(
            variant,
            task,
            weights,
            num_classes=num_classes,
            head=head,
            ema=ema,
            offline=offline,
            progress=arrived,
        )
    for note in chosen.notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    with interruptible() as check_interrupt, bar:
        step, log = bar.add_task("exporting", total=None), step_log(console)

        def show(done: int, total: int, text: str) -> None:
            check_interrupt()
            bar.update(step, completed=done, total=total, description=text)
            log(text)

        from pvt_edge.export.exporter import export_model
        from pvt_edge.training.state import learnt_pictures

        learnt = learnt_pictures(chosen.file) if int8 and options.calib is None and chosen.file else []
        if learnt:
            console.print(f"INT8 ranges are taken from the {len(learnt)} pictures that the weights learnt from")
        options = replace(
            options,
            calib=learnt or options.calib,
            labels=read_labels(labels) if labels else chosen.labels,
            weights_file=chosen.file,
            dialect=chosen.dialect,
            progress=show,
        )
        bundle = export_model(chosen.model, out or Path("out") / f"{chosen.variant}-{chosen.task}", **vars(options))
    seconds = perf_counter() - started
    if json:
        content: dict[str, Any] = {"bundle": str(bundle.folder), "seconds": round(seconds, 1)}
        content["asked"] = asked_for(bundle.manifest)
        write_json(content | {"manifest": bundle.manifest.model_dump(mode="json")}, json)
    print_summary(console, bundle, seconds)


def _tune(tune: Tune | bool | None, no_tune: bool) -> Tune:
    """How INT8 is tuned; `--no-tune` is off."""
    if tune not in (None, "full", "quick", "off"):
        raise typer.BadParameter(f"{tune!r} is not full, quick or off", param_hint="--tune")
    if no_tune and tune not in (None, "off"):
        raise typer.BadParameter(f"--tune {tune} and --no-tune contradict each other", param_hint="--no-tune")
    return "off" if no_tune else tune or "quick"
