"""`pvt-edge benchmark`: every runtime and precision that runs here, measured in one run."""

import shlex
import sys
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from pvt_edge.cli.options import BUNDLE_HELP, check_json, console_beside
from pvt_edge.cli.spread import spread
from pvt_edge.options.flag import parse_imgsz, parse_list
from pvt_edge.options.run import MachineOptions


@spread()
def benchmark(
    *,
    bundle: Annotated[Path | None, typer.Argument(help=BUNDLE_HELP)] = None,
    variant: Annotated[
        str | None, typer.Option(help="Export this variant to measure it, in place of a bundle.")
    ] = None,
    variants: Annotated[
        str | None, typer.Option(help="The study table: cost against size of b0,b1,b2,...", metavar="LIST")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="With --variant and --variants: classify, features, detect, segment.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="The trained model, for torch and stock rows, as export takes it; none is random.",
            metavar="FILE|NAME",
        ),
    ] = None,
    head: Annotated[str | None, typer.Option(help="Its detection head: retinanet or lite.")] = None,
    imgsz: Annotated[
        str | None, typer.Option(help="With --variant 640, or height,width; with --variants 224,448,640.")
    ] = None,
    calib: Annotated[
        str | None,
        typer.Option(help="With --variant: pictures for INT8 ranges. Default: generated scenes.", metavar="SOURCE"),
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(
            help="all (but torch-compile), or among torch,torch-compile,onnxruntime,openvino,opencv,tensorrt,"
            "tensorrt-rtx."
        ),
    ] = "all",
    precision: Annotated[str, typer.Option(help="all, or among fp32,bf16,fp16,approx,int8.")] = "all",
    batch: Annotated[str | None, typer.Option(help="Such as 1,2,4,8. Default: the bundle's.", metavar="LIST")] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds of inference, and of end-to-end, for each row. Default: 5; quick 1.")
    ] = None,
    warmup: Annotated[
        float | None, typer.Option(min=0, help="Seconds before them that are not counted. Default: 0.5; quick 0.2.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look: short turns, no cold starts, no roofline, no layers.")
    ] = False,
    percentile: Annotated[str, typer.Option(help="Of all calls; none is removed.", metavar="LIST")] = "50,90,95,99",
    hint: Annotated[str, typer.Option(help="latency: one caller. throughput: as many as pay.")] = "latency",
    streams: Annotated[int | None, typer.Option(min=1, help="Callers at once, with --hint throughput.")] = None,
    machine: MachineOptions,
    data: Annotated[
        Path | None,
        typer.Option(help="Labels, as val takes them: the accuracy of every row in this run.", metavar="FILE|DIR"),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Pictures for end-to-end, and of --data. Default: generated scenes.", metavar="DIR"),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            help="Beside it in the same run: stock (the same model by the default route), vit-s, vit-b, deit-ti, "
            "deit-s, swin-t, resnet-18, resnet-50.",
            metavar="LIST",
        ),
    ] = None,
    torch_compile: Annotated[
        bool, typer.Option("--torch-compile", help="torch.compile too, whose start takes minutes.")
    ] = False,
    against: Annotated[
        Path | None, typer.Option(help="An earlier benchmark.json: exit 1 where ratios moved.", metavar="FILE")
    ] = None,
    max_ratio: Annotated[float, typer.Option(help="How far a ratio may move, with --against.")] = 1.15,
    seed: Annotated[int, typer.Option(help="Of the order of turns.")] = 0,
    cold_start: Annotated[
        bool, typer.Option("--cold-start/--no-cold-start", help="Start every row afresh once.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option(help="Where to write all. Default: out/benchmark-<model>-<time>.", metavar="DIR")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write benchmark.json there too; - is stdout.", metavar="PATH")
    ] = None,
) -> None:
    """Measure every runtime and precision in interleaved rounds: table, JSON, Markdown and plots."""
    from pvt_edge.benchmarks.against import read_baseline
    from pvt_edge.benchmarks.comparison_models import check_names
    from pvt_edge.benchmarks.opening import COMPILED
    from pvt_edge.benchmarks.options import QUICK_S, QUICK_WARMUP_S, Options
    from pvt_edge.benchmarks.rows import PRECISIONS, Choice, unnamed
    from pvt_edge.cli.benchmarking import Target, as_recorded, measure, study

    console = console_beside(json)
    check_json(json)
    if sum(value is not None for value in (bundle, variant, variants)) != 1:
        raise typer.BadParameter("give one of: a bundle's folder, --variant, --variants", param_hint="BUNDLE")
    if hint not in ("latency", "throughput"):
        raise typer.BadParameter(f"{hint!r} is neither latency nor throughput", param_hint="--hint")
    if streams is not None and hint == "latency":
        raise typer.BadParameter("streams are for --hint throughput", param_hint="--streams")
    duration = duration if duration is not None else QUICK_S if quick else Options.duration_s
    warmup = warmup if warmup is not None else QUICK_WARMUP_S if quick else Options.warmup_s
    if not 0 < duration < inf:
        raise typer.BadParameter(f"{duration:g} seconds measure nothing: give more than 0", param_hint="--duration")
    if not 0 <= warmup < inf:
        raise typer.BadParameter(f"{warmup:g} seconds never end: give 0 or more", param_hint="--warmup")
    if not 1 < max_ratio < inf:
        raise typer.BadParameter(f"{max_ratio:g} allows nothing: give more than 1", param_hint="--max-ratio")
    given = {"task": task, "imgsz": imgsz, "calib": calib, "against": against}
    given |= {"data": data, "batch": batch}
    _refuse_unused(bundle, variants, given)
    runtimes = unnamed() if runtime == "all" else parse_list(runtime)
    choice = Choice(
        runtimes=(*runtimes, COMPILED) if torch_compile and COMPILED not in runtimes else runtimes,
        precisions=PRECISIONS if precision == "all" else parse_list(precision),
        batches=_parse_batches(batch) if batch else None,
        **machine,
        hint="throughput" if hint == "throughput" else "latency",
        streams=streams,
    )
    choice.check()
    compared = tuple(dict.fromkeys(parse_list(compare or "")))
    check_names(compared)
    options = Options(
        choice=choice,
        duration_s=duration,
        warmup_s=warmup,
        percentiles=_parse_percentiles(percentile),
        seed=seed,
        compare=compared,
        images=images,
        data=data,
        weights=_absolute_file(weights),
        head=head,
        cold_start=cold_start,
    )
    options = options.quick() if quick else options
    command = shlex.join(["pvt-edge", *sys.argv[1:]])
    target = Target(console, out, json, command)
    if variants is not None:
        if weights not in (None, "none"):
            raise typer.BadParameter("a study is of random weights, which take as long as any", param_hint="--weights")
        sizes = [parse_imgsz(size) for size in parse_list(imgsz or "224")]
        for names, option in ((parse_list(variants), "--variants"), (sizes, "--imgsz")):
            if not names:
                raise typer.BadParameter("name at least one", param_hint=option)
        if not study(target, parse_list(variants), sizes, options, task=task or "classify"):
            raise typer.Exit(1)
        return
    baseline = read_baseline(against) if against else None
    size = parse_imgsz(imgsz) if imgsz else None
    found = measure(target, bundle, variant, options, task=task, imgsz=size, calib=calib, baseline=baseline)
    if baseline is not None and not as_recorded(console, found, baseline, max_ratio):
        raise typer.Exit(1)


def _absolute_file(weights: str | None) -> str | None:
    """A file's or folder's whole path, as cold starts are made in another folder; names are left as they are."""
    from pvt_edge.weights.published import is_file_name

    if weights is not None and is_file_name(weights) and Path(weights).exists():
        return str(Path(weights).absolute())
    return weights


def _refuse_unused(bundle: Path | None, variants: str | None, given: Mapping[str, object]) -> None:
    """Wrong usage for options that would be ignored in silence."""
    of_bundle, of_study = ("task", "imgsz", "calib"), ("calib", "against", "data", "batch")
    for names, there, why in (
        (of_bundle, bundle is not None, "a bundle says that itself: this is for --variant"),
        (of_study, variants is not None, "this is not for the study of --variants"),
    ):
        for name in names:
            if there and given[name] is not None:
                raise typer.BadParameter(why, param_hint=f"--{name}")


def _parse_batches(text: str) -> tuple[int, ...]:
    try:
        numbers = [int(part) for part in parse_list(text)]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise typer.BadParameter(f"{text!r} is no list of batches: write 1,2,4,8", param_hint="--batch")
    return tuple(dict.fromkeys(numbers))


def _parse_percentiles(text: str) -> tuple[float, ...]:
    try:
        numbers = [float(part) for part in parse_list(text)]
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= number <= 100 for number in numbers):
        raise typer.BadParameter(
            f"{text!r} is no list of percentiles from 0 to 100: write 50,90,95,99", param_hint="--percentile"
        )
    return tuple(dict.fromkeys(numbers))
