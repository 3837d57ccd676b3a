"""The benchmark on a terminal."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pvt_edge.benchmarks import words
from pvt_edge.benchmarks.comparison_table import model_cells, model_columns
from pvt_edge.benchmarks.record import Benchmark, Row

if TYPE_CHECKING:
    from rich.console import Console


def print_tables(benchmark: Benchmark, console: "Console") -> None:
    """The rows that were measured, why the others were not, how it was done, and what to beware of."""
    b = benchmark
    console.print(words.title(b), style="bold", highlight=False)
    _print_rows(console, b, "inference alone, ms", words.latency_columns(b), lambda row: words.latency_cells(b, row))
    if lines := model_cells(b):
        _print(console, "models compared, inference alone, median ms", model_columns(b), lines)
    _print_rows(console, b, "from JPEG to result, median ms", words.stage_columns(), words.stage_cells)
    if any(row.cold_start for row in b.rows):
        title = "a fresh process to its first result, ms; memory and size"
        _print_rows(console, b, title, words.cost_columns(b), lambda row: words.cost_cells(b, row))
    console.print()
    for row in b.rows:
        if row.status == "failed":
            console.print(f"{row.name} FAILED: {row.reason}", style="red", markup=False, highlight=False)
    for row in b.rows:
        if row.status == "absent":
            console.print(f"{row.name} not run: {row.reason}", style="dim", markup=False, highlight=False)
    for line in words.facts(b):
        console.print(line, style="dim", markup=False, highlight=False)
    for line in words.warnings(b):
        console.print(line, style="bold yellow", markup=False, highlight=False)


def _print_rows(
    console: "Console", benchmark: Benchmark, title: str, columns: Sequence[str], cells: Callable[[Row], list[str]]
) -> None:
    """One table of the measured rows, the fastest bold where the machine was quiet."""
    rows = benchmark.measured
    fastest = next((i for i, row in enumerate(rows) if row.name == benchmark.fastest), None)
    _print(console, title, columns, [cells(row) for row in rows], bold=fastest)


def _print(
    console: "Console", title: str, columns: Sequence[str], lines: Sequence[Sequence[str]], bold: int | None = None
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=i == 0)
    for i, line in enumerate(lines):
        table.add_row(*line, style="bold" if i == bold else None)
    console.print()
    console.print(table, highlight=False)
