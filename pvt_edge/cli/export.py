"""`pvt-edge export`: a checkpoint -> a bundle."""

import json as json_module
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pvt_edge.cli.options import parse_imgsz, parse_list, read_labels, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.bundle import Bundle
    from pvt_edge.bundle.schema import CalibrationRecord


def export(
    variant: Annotated[str, typer.Option(help="b0, b1, b2, b2-li, b3, b4 or b5.")],
    weights: Annotated[
        str | None,
        typer.Option(help="A checkpoint file, cells (bundled, the default for b0) or none (random).", metavar="FILE"),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="classify, features or detect. Default: what the weights are for.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The bundle. Default: out/<variant>-<task>.")] = None,
    imgsz: Annotated[str | None, typer.Option(help="Input size: 640, or height,width.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Among onnx and openvino.")] = "onnx,openvino",
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
    images: Annotated[Path | None, typer.Option(help="The pictures of the COCO file. Default: beside it.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="A precision plan to take instead of searching: JSON, or a bundle with one.")
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help="Search and time placements of INT8, or take the recorded one.")
    ] = True,
    num_classes: Annotated[int | None, typer.Option(min=1, help="Default: what the weights have.")] = None,
    head: Annotated[str | None, typer.Option(help="Detection head: retinanet or lite.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Text file with one label a line.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Static batch size.")] = 1,
    dynamic_batch: Annotated[bool, typer.Option("--dynamic-batch", help="Any batch size instead.")] = False,
    resize: Annotated[str | None, typer.Option(help="letterbox, stretch or crop. Default: by task.")] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write a machine-readable report; - is stdout.", metavar="PATH")
    ] = None,
) -> None:
    """Export a checkpoint to a bundle of ONNX and OpenVINO files, each checked against the model."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # a fixed file: libraries that draw on sys.stdout are redirected while they run
    console = Console(file=sys.stderr if json == "-" else sys.stdout, soft_wrap=True)
    started = perf_counter()
    size = parse_imgsz(imgsz) if imgsz else None
    columns = (SpinnerColumn(), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}"))
    bar = Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    with _interruption_told(), bar:
        step = bar.add_task("loading the weights", total=None)

        def tell(done: int, total: int, text: str) -> None:
            bar.update(step, completed=done, total=total, description=text)
            if not console.is_terminal:  # a log keeps each step
                console.print(text)

        from pvt_edge.export.exporter import export_model
        from pvt_edge.export.request import resize_named
        from pvt_edge.export.weights import resolve_weights

        chosen = resolve_weights(variant, task, weights, num_classes=num_classes, head=head)
        for note in chosen.notes:
            console.print(note, style="yellow", markup=False, highlight=False)
        bundle = export_model(
            chosen.model,
            out or Path("out") / f"{chosen.variant}-{chosen.task}",
            formats=parse_list(formats),
            precisions=("fp32", "int8") if int8 else ("fp32",),
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
            tune=tune,
            labels=read_labels(labels) if labels else chosen.labels,
            batch=batch,
            dynamic_batch=dynamic_batch,
            resize=resize_named(resize) if resize else None,
            weights_file=chosen.file,
            dialect=chosen.dialect,
            command=shlex.join(["pvt-edge", *sys.argv[1:]]),
            progress=tell,
        )
    seconds = perf_counter() - started
    if json:
        content: dict[str, Any] = {"bundle": str(bundle.folder), "seconds": round(seconds, 1)}
        write_json(content | {"manifest": bundle.manifest.model_dump(mode="json")}, json)
    _report(console, bundle, seconds)


@contextmanager
def _interruption_told() -> Iterator[None]:
    """Say where an interrupted search left its measurements: typer ends on Ctrl-C without a word."""
    try:
        yield
    except KeyboardInterrupt as stop:
        typer.echo(str(stop) or "stopped; nothing half-written was kept", err=True)
        raise typer.Exit(130) from None


def _report(console: "Console", bundle: "Bundle", seconds: float) -> None:
    from rich.table import Table

    from pvt_edge.cli.inspect import artifact_rows

    columns, rows = artifact_rows(bundle)
    table = Table(*columns, title=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    manifest = bundle.manifest
    if manifest.accuracy:
        console.print(f"accuracy on {manifest.accuracy.data}", highlight=False)
    if manifest.calibration:
        c = manifest.calibration
        console.print(f"INT8 ranges from {c.count} pictures of {c.source}, seed {c.seed}{_dropped(c)}", highlight=False)
        verdict = json_module.loads((bundle.folder / "report.json").read_text(encoding="utf-8"))["search"]["verdict"]
        console.print(verdict, style="bold", highlight=False)
        console.print(f"report: {_short(bundle.folder) / 'report.md'}", highlight=False)
    console.print(f"wrote {bundle.folder} in {seconds:.0f} s", highlight=False)
    shown = shlex.quote(str(_short(bundle.folder)))
    console.print(f"next: pvt-edge predict {shown} your-images/ --save annotated/", highlight=False)


def _dropped(calibration: "CalibrationRecord") -> str:
    """What of the calibration pictures was not taken, and the first few by name."""
    named = (*calibration.skipped, *calibration.left_out)
    parts = [(len(calibration.skipped), "unreadable"), (len(calibration.left_out), "useless")]
    parts.append((calibration.duplicates, "near-duplicates"))
    told = ", ".join(f"{count} {kind}" for count, kind in parts if count)
    return f"; left out: {told}" + (f" ({'; '.join(named[:3])})" if named else "") if told else ""


def _short(folder: Path) -> Path:
    """The folder as seen from here, where that is shorter."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
