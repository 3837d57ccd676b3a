"""The benchmark on a terminal."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pvt_edge.benchmarks import words
from pvt_edge.benchmarks.record import Benchmark, Row

if TYPE_CHECKING:
    from rich.console import Console


def print_tables(benchmark: Benchmark, console: "Console") -> None:
    """The rows that were measured, why the others were not, how it was done, and what to beware of."""
    b = benchmark
    console.print(words.title(b), style="bold", highlight=False)
    _print(console, b, "inference alone, ms", words.latency_columns(b), lambda row: words.latency_cells(b, row))
    _print(console, b, "from JPEG to result, median ms", words.stage_columns(), words.stage_cells)
    if any(row.cold_start for row in b.rows):
        title = "a fresh process to its first result, ms; memory and size"
        _print(console, b, title, words.cost_columns(b), lambda row: words.cost_cells(b, row))
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


def _print(
    console: "Console", benchmark: Benchmark, title: str, columns: Sequence[str], cells: Callable[[Row], list[str]]
) -> None:
    """One table, the fastest row bold where the machine was quiet."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=i == 0)
    for row in benchmark.measured:
        table.add_row(*cells(row), style="bold" if row.name == benchmark.fastest else None)
    console.print()
    console.print(table, highlight=False)
