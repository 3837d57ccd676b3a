"""`pvt-edge val`: a bundle's accuracy on labelled pictures."""

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.cli.options import (
    IOU_HELP,
    MAX_DET_HELP,
    BundleFolder,
    Device,
    JsonReport,
    PixelMaxValue,
    Threads,
    check_json,
    console_beside,
    write_json,
)
from pvt_edge.cli.steps import interruption_told

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pvt_edge.evaluation import Evaluation

NOT_SHOWN = ("AR1", "AR10", "ARs", "ARm", "ARl")
MOST_CLASSES = 80  # a table of ImageNet's thousand helps nobody; JSON has them all


def val(
    bundle: BundleFolder,
    data: Annotated[
        Path,
        typer.Option(
            help="A COCO file, data.yaml or Pascal VOC folder; for classifiers a folder a class, or a text or CSV file."
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Where the file's pictures are. Default: images/ beside it, or its folder.", metavar="DIR"),
    ] = None,
    runtime: Annotated[str, typer.Option(help="auto, all, or a runtime such as openvino.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, all, fp32, bf16, fp16 or int8.")] = "auto",
    device: Device = "auto",
    threads: Threads = None,
    conf: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score. Default: 0.01, as AP sweeps it.")
    ] = None,
    iou: Annotated[float | None, typer.Option(min=0, max=1, help=IOU_HELP)] = None,
    max_det: Annotated[int | None, typer.Option(min=1, help=MAX_DET_HELP)] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many pictures.")] = None,
    pixel_max: PixelMaxValue = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out pictures that are not there; says which.")
    ] = False,
    save_detections: Annotated[
        Path | None,
        typer.Option(
            help="Write the detections in COCO's results format; of several artifacts a file each.", metavar="FILE"
        ),
    ] = None,
    json: JsonReport = None,
) -> None:
    """Measure a bundle's accuracy: COCO AP of a detector, top-1 and top-5 of a classifier."""
    from rich.console import Console

    from pvt_edge.cli.progress import bar_shown
    from pvt_edge.evaluation import evaluate
    from pvt_edge.evaluation.detections_file import refuse_data

    check_json(json)
    if json and json != "-":
        refuse_data(Path(json), data)
    errors = Console(stderr=True, soft_wrap=True)
    with interruption_told():
        evaluation = evaluate(
            bundle,
            data,
            images,
            runtime=runtime,
            precision=precision,
            device=device,
            threads=threads,
            conf=conf,
            iou=iou,
            max_det=max_det,
            limit=limit,
            skip_missing=skip_missing,
            pixel_max=pixel_max,
            save_detections=save_detections,
            bar=partial(bar_shown, errors),
        )
    _print(console_beside(json), evaluation)
    if json:
        write_json(evaluation.to_json(), json)


def _print(console: "Console", evaluation: "Evaluation") -> None:
    of = f" of {evaluation.pictures_in_data}" if evaluation.pictures < evaluation.pictures_in_data else ""
    said = [f"{evaluation.pictures}{of} pictures of {evaluation.data}"]
    if evaluation.settings:
        s = evaluation.settings
        said.append(f"score above {s.conf:g}, NMS IoU {s.iou:g}, at most {s.max_det} detections a picture")
    for line in said:
        console.print(line, markup=False, highlight=False)
    console.print(_figures(evaluation))
    if 1 < len(evaluation.rows[0].classes) <= MOST_CLASSES:
        console.print(_classes(evaluation))
    for failure in evaluation.failures:
        line = f"not run: {failure.runtime} {failure.precision}: {failure.reason}"
        console.print(line, style="red", markup=False, highlight=False)
    for note in evaluation.notes:
        console.print(f"note: {note}", style="yellow", markup=False, highlight=False)
    for row in evaluation.rows:
        if row.detections_file:
            console.print(f"wrote {row.detections_file}", markup=False, highlight=False)


def _figures(evaluation: "Evaluation") -> "Table":
    """A row an artifact."""
    names = [name for name in evaluation.rows[0].figures if name not in NOT_SHOWN]
    table = _table("artifact", *names, "ms/pic", "s")
    for row in evaluation.rows:
        figures = [_shown(row.figures[name]) for name in names]
        spent = f"{sum(row.speed_ms.values()):.1f}"  # a picture: preprocess, inference, postprocess
        name = row.name if row.device == "cpu" else f"{row.name} {row.device}"
        table.add_row(name, *figures, spent, f"{row.seconds:.1f}")
    return table


def _classes(evaluation: "Evaluation") -> "Table":
    """A row a class: of one artifact its figures, of several each one's first."""
    first, *others = evaluation.rows
    count, *names = next(iter(first.classes.values()))
    columns = [f"{row.runtime}\n{row.precision}" for row in evaluation.rows] if others else names
    table = _table(f"{names[0]} of class" if others else "class", count, *columns)
    for name, figures in first.classes.items():
        values = [row.classes[name][names[0]] for row in evaluation.rows] if others else [figures[n] for n in names]
        table.add_row(name, f"{figures[count]:.0f}", *map(_shown, values))
    return table


def _table(first: str, *columns: str) -> "Table":
    """A table narrow enough for 80 columns."""
    from rich import box
    from rich.table import Table

    table = Table(first, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _shown(fraction: float) -> str:
    return "-" if math.isnan(fraction) else f"{fraction:.3f}"
