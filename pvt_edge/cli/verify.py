"""`pvt-edge verify`: do a bundle's artifacts give the answers of a reference?"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvt_edge.cli.options import BundleFolder, JsonReport, check_json, console_beside, write_json
from pvt_edge.cli.progress import bar_shown, interruptible
from pvt_edge.cli.spread import spread
from pvt_edge.errors import DataError
from pvt_edge.options.run import Limits, RunOptions, SideOptions

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.verification.report import VerifyReport

LIMITS, WHAT = "Tolerance (default: by precision)", "What is compared"  # headings of --help
MOST_LIMITED = 3  # figures whose limits a terminal of 80 columns has room for


@spread(panels={"sides": WHAT, "limits": LIMITS})
def verify(
    *,
    bundle: BundleFolder,
    images: Annotated[
        str, typer.Option(help="Pictures, no labels needed: a folder, pattern, video.", metavar="SOURCE")
    ],
    sides: SideOptions,
    limit: Annotated[int, typer.Option(min=1, help="Most pictures; of more they are drawn.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    conf: Annotated[
        float | None, typer.Option(min=0, max=1, help="A detector's lowest score. Default: the bundle's.")
    ] = None,
    limits: Limits,
    running: RunOptions,
    out: Annotated[
        Path | None, typer.Option(help="Report and contact sheet. Default: <bundle>-verify.", metavar="DIR")
    ] = None,
    json: JsonReport = None,
) -> None:
    """Compare a bundle's artifacts with FP32, or another bundle, on unlabelled pictures; exit 1 outside tolerance."""
    from rich.console import Console

    from pvt_edge.verification.verifier import verify as verify_bundle

    place = Path(os.path.abspath(bundle))  # a link keeps its own name
    folder = out or place.with_name(f"{place.name}-verify")
    _check_apart(json, folder)
    check_json(json)
    errors = Console(stderr=True, soft_wrap=True)
    with interruptible(), bar_shown(errors, "comparing", limit) as advance:
        report = verify_bundle(
            bundle,
            images=images,
            limit=limit,
            seed=seed,
            conf=conf,
            out=folder,
            progress=lambda done, total: advance(),
            **sides,
            **running,
            **limits,
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

    from pvt_edge.comparison.difference import FIGURES
    from pvt_edge.verification.page import SHEET

    names = list(report.artifacts[0].limits)
    table = Table(
        Column("artifact", no_wrap=True), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False
    )
    limited = len(names) <= MOST_LIMITED  # else they stand in the report, and beside what lies outside
    for name in names:
        table.add_column(FIGURES[name].short, justify="right")
        if limited:
            table.add_column("least" if FIGURES[name].least else "most", justify="right", style="dim")
    table.add_column("")
    for row in report.artifacts:
        cells = []
        for name in names:
            figure, limit = FIGURES[name], row.limits[name]
            value = row.figures.get(name)
            style = "" if value is not None and figure.within(value, limit) else "red"
            text = "-" if value is None else figure.text(value).removesuffix(" px")
            cells += [f"[{style}]{text}[/]" if style else text, *([f"{limit:g}"] if limited else [])]
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
