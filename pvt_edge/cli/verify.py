"""`pvt-edge verify`: do a bundle's artifacts give the answers of a reference?"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.cli.options import (
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
from pvt_edge.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.verification.report import VerifyReport

LIMITS, WHAT = "Tolerance (default: by precision)", "What is compared"


def verify(
    bundle: BundleFolder,
    images: Annotated[
        str, typer.Option(help="Pictures, no labels needed: a folder, pattern, video.", metavar="SOURCE")
    ],
    artifact: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as openvino:int8, or openvino; may be repeated. Default: all.",
            metavar="RUNTIME:PRECISION",
            rich_help_panel=WHAT,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="What is right. Default: the first fp32 that runs here.",
            metavar="RUNTIME:PRECISION",
            rich_help_panel=WHAT,
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Take the reference from another bundle of the same model.", metavar="BUNDLE", rich_help_panel=WHAT
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most pictures; of more they are drawn.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    conf: Annotated[
        float | None, typer.Option(min=0, max=1, help="A detector's lowest score. Default: the bundle's.")
    ] = None,
    min_f1: Annotated[
        float | None, typer.Option(min=0, max=1, help="Matched-box F1, detectors.", rich_help_panel=LIMITS)
    ] = None,
    max_box_px: Annotated[
        float | None, typer.Option(min=0, help="Mean box drift, pixels of the input.", rich_help_panel=LIMITS)
    ] = None,
    max_score_drift: Annotated[
        float | None, typer.Option(min=0, help="Mean drift of scores.", rich_help_panel=LIMITS)
    ] = None,
    min_top1: Annotated[
        float | None, typer.Option(min=0, max=1, help="Top-1 agreement, classifiers.", rich_help_panel=LIMITS)
    ] = None,
    min_cosine: Annotated[
        float | None, typer.Option(min=0, max=1, help="Mean cosine of logits or features.", rich_help_panel=LIMITS)
    ] = None,
    max_feature_error: Annotated[
        float | None, typer.Option(min=0, help="Mean relative error of features.", rich_help_panel=LIMITS)
    ] = None,
    pixel_max: PixelMaxValue = None,
    device: Device = "auto",
    threads: Threads = None,
    out: Annotated[
        Path | None, typer.Option(help="Report and contact sheet. Default: <bundle>-verify.", metavar="DIR")
    ] = None,
    json: JsonReport = None,
) -> None:
    """Compare a bundle's artifacts with FP32, or another bundle, on unlabelled pictures; exit 1 outside tolerance."""
    from rich.console import Console

    from pvt_edge.cli.progress import bar_shown
    from pvt_edge.verification.verifier import verify as verify_bundle

    place = Path(os.path.abspath(bundle))  # a link keeps its own name
    folder = out or place.with_name(f"{place.name}-verify")
    _check_apart(json, folder)
    check_json(json)
    errors = Console(stderr=True, soft_wrap=True)
    with interruption_told(), bar_shown(errors, "comparing", limit) as advance:
        report = verify_bundle(
            bundle,
            images=images,
            artifacts=artifact or (),
            reference=reference,
            against=against,
            limit=limit,
            seed=seed,
            conf=conf,
            pixel_max=pixel_max,
            device=device,
            threads=threads,
            out=folder,
            progress=lambda done, total: advance(),
            min_f1=min_f1,
            max_box_px=max_box_px,
            max_score_drift=max_score_drift,
            min_top1=min_top1,
            min_cosine=min_cosine,
            max_feature_error=max_feature_error,
        )
    if json:
        write_json(report.to_json(), json)
    _print(console_beside(json), report)
    for line in report.failures:
        typer.echo(f"pvt-edge: outside tolerance: {line}", err=True)
    if not report:
        raise typer.Exit(1)


def _check_apart(json: str | None, folder: Path) -> None:
    """Raise `DataError` for a --json file in the folder of --out: the next run would refuse what it did not write."""
    if json and json != "-" and folder.resolve() in Path(json).resolve().parents:
        raise DataError(f"cannot write {json} into {folder}, which is replaced whole: choose another place with --json")


def _print(console: "Console", report: "VerifyReport") -> None:
    from rich import box
    from rich.table import Column, Table

    from pvt_edge.comparison.figure import FIGURES
    from pvt_edge.verification.page import SHEET

    names = list(report.artifacts[0].limits)
    table = Table(
        Column("artifact", no_wrap=True), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False
    )
    for name in names:
        table.add_column(FIGURES[name].short, justify="right")
        table.add_column("least" if FIGURES[name].least else "most", justify="right", style="dim")
    table.add_column("")
    for row in report.artifacts:
        cells = []
        for name in names:
            figure, limit = FIGURES[name], row.limits[name]
            value = row.figures.get(name)
            style = "" if value is not None and figure.within(value, limit) else "red"
            told = "-" if value is None else figure.text(value).removesuffix(" px")
            cells += [f"[{style}]{told}[/]" if style else told, f"{limit:g}"]
        table.add_row(row.name, *cells, "[green]within[/]" if row else "[red]outside[/]")
    console.print(table)
    for name, reason in report.skipped:
        console.print(f"skipped: {name}: {reason}", style="yellow", markup=False, highlight=False)
    for line in report.unread:
        console.print(f"skipped: {line}", style="yellow", markup=False, highlight=False)
    console.print(report.verdict, style="green" if report else "red", markup=False, highlight=False)
    if report.folder is not None:
        sheet = (report.folder / SHEET).is_file()  # none where no picture could be compared
        files = f"report.md, .json and {SHEET}" if sheet else "report.md and .json"
        console.print(f"wrote {report.folder}/{files}", markup=False, highlight=False)
