"""What `pvt-edge benchmark` does with its options: a run or a study, shown and written."""

import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.cli.options import write_json
from pvt_edge.cli.progress import interruptible, passing_bar, step_log

if TYPE_CHECKING:
    from rich.console import Console

    from pvt_edge.benchmarks.opening import TorchModel
    from pvt_edge.benchmarks.options import Options
    from pvt_edge.benchmarks.record import Benchmark

    Show = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Target:
    """Where results go, and the command that they are of."""

    console: "Console"
    out: Path | None
    json: str | None
    command: str


def measure(
    target: Target,
    folder: Path | None,
    variant: str | None,
    options: "Options",
    *,
    task: str | None,
    imgsz: tuple[int, int] | None,
    calib: str | None,
    baseline: "Benchmark | None" = None,
) -> "Benchmark":
    """The benchmark of the bundle in `folder`, or of `variant`, after showing and writing it.

    Raises `DataError` before anything is measured where it could not be compared with `baseline`.
    """
    from pvt_edge.benchmarks.against import check_comparable
    from pvt_edge.benchmarks.benchmark import run_benchmark
    from pvt_edge.benchmarks.comparison_models import check_models
    from pvt_edge.benchmarks.folder import check_folder, write_folder
    from pvt_edge.benchmarks.planning import export_to_measure
    from pvt_edge.benchmarks.table import WITHOUT_PLOTS, print_tables
    from pvt_edge.bundle import read_bundle

    console = target.console
    # The default place bears the model's name, known only after an export; whether one can be made is known now.
    check_folder(target.out or _default_out(variant or "bundle"))
    if folder is None:
        check_models(options.compare, task or "classify")  # before the export, which knows the task only after
    with tempfile.TemporaryDirectory() as scratch, _progress(console) as show:
        torch_model: TorchModel | None = None
        notes: tuple[str, ...] = ()
        if folder is not None:
            bundle = read_bundle(folder)
        else:
            assert variant is not None
            show(0, 1, f"exporting {variant}")
            made = export_to_measure(
                Path(scratch),
                variant,
                task=task,
                weights=options.weights,
                head=options.head,
                imgsz=imgsz,
                batches=options.choice.batches or (1,),
                calib=calib,
                int8="int8" in options.choice.precisions,
                on_step=lambda text: show(0, 1, text),
            )
            bundle, torch_model, notes = made.bundle, made.torch_model, made.notes
        if baseline is not None:
            manifest = bundle.manifest
            size = (manifest.input.height, manifest.input.width)
            check_comparable(baseline, manifest.variant, manifest.task, size, options.choice.hint)
        measured = run_benchmark(
            bundle,
            options,
            command=target.command,
            torch_model=torch_model,
            made_for_this=folder is None,
            notes=notes,
            progress=show,
            announce=lambda line: console.print(line, markup=False, highlight=False),
        )
    benchmark = measured.benchmark
    place = target.out or _default_out(f"{benchmark.model.variant}-{benchmark.model.task}")
    drawn = write_folder(place, measured)  # before a terminal that has gone can end this
    if target.json:
        write_json(benchmark.model_dump(mode="json"), target.json)
    print_tables(benchmark, console)
    if not drawn:
        console.print(WITHOUT_PLOTS, style="yellow", markup=False, highlight=False)
    console.print(f"wrote {place.absolute()}", markup=False, highlight=False)
    baseline_path = shlex.quote(str(place / "benchmark.json"))
    console.print(f"next: pvt-edge benchmark ... --against {baseline_path}", markup=False, highlight=False)
    return benchmark


def study(
    target: Target, variants: Sequence[str], sizes: Sequence[tuple[int, int]], options: "Options", *, task: str
) -> bool:
    """Run the study, show it and write it; whether anything could be measured."""
    from pvt_edge.benchmarks.folder import STUDY_RESULT, check_folder, write_study
    from pvt_edge.benchmarks.study import run_study
    from pvt_edge.benchmarks.study_table import SIZES, pair_cells, pair_columns, study_columns, study_lines, study_rows

    console = target.console
    place = target.out or _default_out("study")
    check_folder(place, STUDY_RESULT)
    with _progress(console) as show:
        found = run_study(variants, sizes, options, task=task, command=target.command, progress=show)
    write_study(place, found)  # before a terminal that has gone can end this
    if target.json:
        write_json(found.model_dump(mode="json"), target.json)
    columns, rows = study_columns(found), study_rows(found)
    first = 2 + len(SIZES)  # one table of everything would not fit a terminal
    _print_study(console, f"PVT {found.task}", columns[:first], [row[:first] for row in rows])
    times = [*columns[:2], *columns[first:]]
    _print_study(console, "inference alone, median ms", times, [[*row[:2], *row[first:]] for row in rows])
    if pairs := pair_cells(found):
        _print_study(console, "pairs of like cost: the variant's time over the other's", pair_columns(found), pairs)
    console.print()
    for line in study_lines(found):
        style = "bold yellow" if "BUSY" in line or "FAILED" in line else "dim"
        console.print(line, style=style, markup=False, highlight=False)
    console.print(f"wrote {place.absolute()}", markup=False, highlight=False)
    return any(row.status == "measured" for entry in found.entries for row in entry.rows)


def _print_study(console: "Console", title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i < 2 else "right", no_wrap=i < 2)
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table, highlight=False)


def as_recorded(console: "Console", now: "Benchmark", then: "Benchmark", max_ratio: float) -> bool:
    """Whether the ratios are the baseline's, after saying so."""
    from pvt_edge.benchmarks.against import compare

    found = compare(now, then, max_ratio)
    for i, line in enumerate(found.lines(max_ratio)):
        style = ("bold green" if found else "bold red") if i == 0 else None
        console.print(line, style=style, markup=False, highlight=False)
    return bool(found)


def _default_out(name: str) -> Path:
    return Path("out") / f"benchmark-{name}-{datetime.now():%Y%m%d-%H%M%S}"


@contextmanager
def _progress(console: "Console") -> "Iterator[Show]":
    """Within, a bar with the step at work; a log keeps a line for each kind of step."""
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    # drawn between turns only: what draws while the clock runs takes from what is measured
    bar = passing_bar(console, *columns, TimeElapsedColumn(), auto_refresh=False)
    with interruptible("stopped; nothing was written"), bar:
        step, log = bar.add_task("starting", total=None), step_log(console)

        def show(done: int, total: int, text: str) -> None:
            bar.update(step, completed=done, total=total, description=text)
            bar.refresh()
            log("measuring in turns" if text.startswith(("infer: ", "end to end: ")) else text)

        yield show
