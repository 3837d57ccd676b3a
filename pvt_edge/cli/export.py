"""`pvt-edge export`: a checkpoint -> a bundle."""

import shlex
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pvt_edge.cli.bar import passing_bar
from pvt_edge.cli.download import download_shown
from pvt_edge.cli.engine import (
    HardwareCompat,
    OptLevel,
    Target,
    TimingCache,
    VersionCompatible,
    Workspace,
    engine_options,
    parse_batch,
)
from pvt_edge.cli.export_summary import asked_for, print_summary
from pvt_edge.cli.options import (
    JsonReport,
    check_json,
    console_beside,
    parse_channels,
    parse_imgsz,
    parse_list,
    read_labels,
    write_json,
)
from pvt_edge.cli.steps import interruption_told, step_log

if TYPE_CHECKING:
    from pvt_edge.export.request import Tune


def export(
    variant: Annotated[
        str | None, typer.Option(help="b0, b1, b2, b2-li, b3, b4 or b5. Default: what the file of --weights holds.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint file or a folder with one, imagenet or coco (published, downloaded once; imagenet:timm "
            "and imagenet:hf are other origins), cells (bundled, the default for b0) or none (random).",
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
        str | None, typer.Option(help="classify, features or detect. Default: what the weights are for.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Download nothing: published weights must be in the cache.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The bundle. Default: out/<variant>-<task>.", metavar="DIR")] = None,
    imgsz: Annotated[str | None, typer.Option(help="Input size: 640, or height,width.")] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Among onnx, openvino, tensorrt, tensorrt-rtx.")
    ] = "onnx,openvino",
    fp16: Annotated[bool, typer.Option("--fp16", help="A float16 ONNX as well, which TensorRT builds.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to INT8 as well.")] = False,
    calib: Annotated[
        str | None, typer.Option(help="Pictures for INT8 ranges: a folder, pattern or video.", metavar="SOURCE")
    ] = None,
    calib_n: Annotated[int, typer.Option(min=1, help="How many of them to use.")] = 256,
    seed: Annotated[int, typer.Option(help="Which of them: the seed of the draw.")] = 0,
    allow_small: Annotated[
        bool, typer.Option("--allow-small", help="Take fewer than 16 calibration pictures.")
    ] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(help="What INT8 may lose of the metric. Default: 0.005 of map and top1, 0.02 of agreement."),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="What INT8 is judged by: auto, agreement (with FP32, no labels), top1 or map.")
    ] = "auto",
    data: Annotated[
        Path | None, typer.Option(help="Labelled pictures to judge by: a COCO file, or a folder of class folders.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The pictures of the COCO file. Default: beside it.", metavar="DIR")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="A precision plan to take instead of searching: JSON, or a bundle with one.")
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            help="Placement of INT8. quick: the recorded one, kept only where it is faster; the default. full: "
            "searched and timed. off: the recorded one, untimed.",
            metavar="full|quick|off",
        ),
    ] = None,
    approximate: Annotated[
        str | None,
        typer.Option(
            metavar="auto|none|PLAN",
            help="Leave out of INT8 and FP16 files what costs most and helps least, inside the budget; PLAN is JSON "
            "or a bundle that does. Default: auto for --int8 without --fp16; the fp32 files stay exact.",
        ),
    ] = None,
    no_tune: Annotated[bool, typer.Option("--no-tune", help="--tune off.")] = False,
    require_int8: Annotated[
        bool,
        typer.Option("--require-int8", help="--int8, and exit 1 with nothing written where INT8 is not worth writing."),
    ] = False,
    num_classes: Annotated[int | None, typer.Option(min=1, help="Default: what the weights have.")] = None,
    head: Annotated[str | None, typer.Option(help="Detection head: retinanet or lite.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Text file with one label a line, or imagenet or coco.", metavar="FILE|NAME")
    ] = None,
    batch: Annotated[
        str, typer.Option(help="Static batch size; with --dynamic-batch TensorRT's lowest,best,highest.", metavar="N")
    ] = "1",
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Any batch size instead.")] = False,
    target: Target = None,
    workspace: Workspace = None,
    timing_cache: TimingCache = None,
    opt_level: OptLevel = None,
    hardware_compat: HardwareCompat = "none",
    version_compatible: VersionCompatible = False,
    pixel_max: Annotated[
        str | None,
        typer.Option(
            help="What is white in pictures of 16 bits, here and when the bundle runs, such as 4095.", metavar="N|auto"
        ),
    ] = None,
    resize: Annotated[
        str | None, typer.Option(help="letterbox, stretch or crop. Default: the weights', else by task.")
    ] = None,
    crop: Annotated[
        float | None, typer.Option(help="How much of the resized picture to cut out of its centre: 0.875.")
    ] = None,
    interpolation: Annotated[
        str | None,
        typer.Option(help="nearest, box, bilinear, hamming, bicubic, lanczos (Pillow's), linear or cubic (OpenCV's)."),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted, a number a channel, of values 0 to 1 or 0 to 255.", metavar="R,G,B")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divides them then.", metavar="R,G,B")] = None,
    channel_order: Annotated[str | None, typer.Option(help="What the model takes: rgb or bgr.")] = None,
    json: JsonReport = None,
) -> None:
    """Export a checkpoint to a bundle for ONNX Runtime, OpenVINO and TensorRT, each file checked against the model."""
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

    from pvt_edge.preprocessing import Preprocessing

    if variant is None and weights is None:
        raise typer.BadParameter("give a variant, or a checkpoint with --weights that tells it", param_hint="--variant")
    console = console_beside(json)
    check_json(json)
    started = perf_counter()
    size = parse_imgsz(imgsz) if imgsz else None
    batch_size, batches = parse_batch(batch, dynamic_batch)
    engine = engine_options(
        target=target,
        workspace=workspace,
        timing_cache=timing_cache,
        opt_level=opt_level,
        hardware_compat=hardware_compat,
        version_compatible=version_compatible,
        batches=batches,
    )
    pictures = Preprocessing(
        mean=parse_channels(mean, "--mean"),
        std=parse_channels(std, "--std"),
        channel_order=channel_order.upper() if channel_order else None,  # type: ignore[arg-type]
        resize=resize,  # type: ignore[arg-type]
        crop=crop,
        interpolation=interpolation,  # type: ignore[arg-type]
    )
    chosen_formats = parse_list(formats)
    int8 = int8 or require_int8
    # an engine is float16 unless INT8 is asked for, never float32
    fp16 = fp16 or (not int8 and any(name.startswith("tensorrt") for name in chosen_formats))
    precisions = ("fp32", *(("fp16",) if fp16 else ()), *(("int8",) if int8 else ()))
    columns = (SpinnerColumn(), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}"))
    bar = passing_bar(console, *columns, TimeElapsedColumn(), redirect=False)
    with interruption_told(), download_shown(console) as arrived:
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
    with interruption_told(), bar:
        step, log = bar.add_task("exporting", total=None), step_log(console)

        def tell(done: int, total: int, text: str) -> None:
            bar.update(step, completed=done, total=total, description=text)
            log(text)

        from pvt_edge.export.exporter import export_model

        bundle = export_model(
            chosen.model,
            out or Path("out") / f"{chosen.variant}-{chosen.task}",
            formats=chosen_formats,
            precisions=precisions,
            imgsz=size,
            calib=calib,
            calib_n=calib_n,
            seed=seed,
            allow_small=allow_small,
            max_drop=max_drop,
            metric=metric,
            data=data,
            images=images,
            plan=plan,
            tune=_tune(tune, no_tune),
            approximate=approximate,
            require_int8=require_int8,
            labels=read_labels(labels) if labels else chosen.labels,
            batch=batch_size,
            dynamic_batch=dynamic_batch,
            engine=engine,
            pixel_max=pixel_max,
            preprocessing=pictures,
            weights_file=chosen.file,
            dialect=chosen.dialect,
            command=shlex.join(["pvt-edge", *sys.argv[1:]]),
            progress=tell,
        )
    seconds = perf_counter() - started
    if json:
        content: dict[str, Any] = {"bundle": str(bundle.folder), "seconds": round(seconds, 1)}
        content["asked"] = asked_for(bundle.manifest)
        write_json(content | {"manifest": bundle.manifest.model_dump(mode="json")}, json)
    print_summary(console, bundle, seconds)


def _tune(tune: str | None, no_tune: bool) -> "Tune":
    """How INT8 is tuned; `--no-tune` is off."""
    from pvt_edge.export.request import TUNES

    if tune is not None and tune not in TUNES:
        raise typer.BadParameter(f"{tune!r} is not full, quick or off", param_hint="--tune")
    if no_tune and tune not in (None, "off"):
        raise typer.BadParameter(f"--tune {tune} and --no-tune contradict each other", param_hint="--no-tune")
    return "off" if no_tune else cast("Tune", tune or "quick")
