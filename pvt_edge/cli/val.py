"""`pvt-edge val`: a bundle's accuracy on labelled pictures."""

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.cli.options import BundleFolder, JsonReport, check_json, console_beside, write_json
from pvt_edge.cli.progress import bar_shown, interruptible
from pvt_edge.cli.spread import spread
from pvt_edge.options.run import ValOptions

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pvt_edge.evaluation import Evaluation, Row

NOT_SHOWN = ("AR1", "AR10", "ARs", "ARm", "ARl")
MOST_CLASSES = 80  # a table of ImageNet's thousand helps nobody; JSON has them all


@spread()
def val(
    *,
    bundle: BundleFolder,
    data: Annotated[
        Path,
        typer.Option(
            help="A COCO file, data.yaml or Pascal VOC folder; for classifiers a folder a class, or a text or CSV "
            "file; for segmenters a folder of pictures and index masks."
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Where the file's pictures are. Default: images/ beside it, or its folder.", metavar="DIR"),
    ] = None,
    options: ValOptions,
    json: JsonReport = None,
) -> None:
    """Measure a bundle's accuracy: COCO AP of a detector, top-1 and top-5 of a classifier, mean IoU of a segmenter."""
    from rich.console import Console

    from pvt_edge.evaluation import evaluate
    from pvt_edge.evaluation.files import refuse_data

    check_json(json)
    if json and json != "-":
        refuse_data(Path(json), data)
    errors = Console(stderr=True, soft_wrap=True)
    with interruptible():
        evaluation = evaluate(bundle, data, images, bar=partial(bar_shown, errors), **options)
    _print(console_beside(json), evaluation)
    if plots := options.get("plots"):
        console_beside(json).print(f"wrote {plots.resolve()}", markup=False, highlight=False)
    if json:
        write_json(evaluation.to_json(), json)


def _print(console: "Console", evaluation: "Evaluation") -> None:
    share = f" of {evaluation.pictures_in_data}" if evaluation.pictures < evaluation.pictures_in_data else ""
    lines = [f"{evaluation.pictures}{share} pictures of {evaluation.data}"]
    if evaluation.settings:
        s = evaluation.settings
        lines.append(f"score above {s.conf:g}, NMS IoU {s.iou:g}, at most {s.max_det} detections a picture")
    if evaluation.slicing:
        how = evaluation.slicing
        beside = " and the whole frame" if how.whole_frame else ""
        lines.append(f"in tiles of {how.tile_hw[1]}x{how.tile_hw[0]} pixels that overlap by {how.overlap:g}{beside}")
    for line in lines:
        console.print(line, markup=False, highlight=False)
    console.print(_figures(evaluation))
    if 1 < len(evaluation.rows[0].classes) <= MOST_CLASSES:
        console.print(_classes(evaluation))
    for row in evaluation.rows:
        if row.curves and evaluation.settings:
            console.print(_best(row, len(evaluation.rows)), markup=False, highlight=False)
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
    from rich.text import Text

    first, *others = evaluation.rows
    count, *names = next(iter(first.classes.values()))
    curves = first.curves.classes if first.curves and evaluation.settings and not others else {}
    extra = ["best F1", "at conf"] if curves else []
    columns = [f"{row.runtime}\n{row.precision}" for row in evaluation.rows] if others else [*names, *extra]
    table = _table(f"{names[0]} of class" if others else "class", count, *columns)
    for name, figures in first.classes.items():
        values = [row.classes[name][names[0]] for row in evaluation.rows] if others else [figures[n] for n in names]
        best = curves[name].best if name in curves else None
        cells = [_shown(best.f1), f"{best.conf:g}"] if best else ["-" for _ in extra]
        table.add_row(Text(name), f"{figures[count]:.0f}", *map(_shown, values), *cells)
    return table


def _best(row: "Row", artifacts: int) -> str:
    """The score threshold to use, with the row's name where it is one of several `artifacts`."""
    assert row.curves is not None
    best, prefix = row.curves.best, f"{row.name}: " if artifacts > 1 else ""
    mean = "mean F1 of the classes" if len(row.curves.classes) > 1 else "F1"
    return (
        f"{prefix}highest {mean} {best.f1:.3f} with --conf {best.conf:g}: "
        f"precision {best.precision:.3f}, recall {best.recall:.3f} at IoU 0.5"
    )


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
