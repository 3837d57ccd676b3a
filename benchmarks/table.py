"""The benchmark on a terminal."""

from typing import TYPE_CHECKING

from pvt_edge.benchmarks.record import Benchmark
from pvt_edge.benchmarks.words import cells, columns, facts, title, warnings

if TYPE_CHECKING:
    from rich.console import Console


def print_table(benchmark: Benchmark, console: "Console") -> None:
    """The rows that were measured, why the others were not, how it was done, and what to beware of."""
    from rich.table import Table

    names = columns(benchmark)
    table = Table(title=f"{title(benchmark)}, ms", title_justify="left", pad_edge=False)
    for i, name in enumerate(names):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=i == 0)
    fastest = min((row.inference.p50 / row.batch for row in benchmark.measured if row.inference), default=None)
    for row in benchmark.measured:
        assert row.inference is not None
        best = row.inference.p50 / row.batch == fastest
        table.add_row(*cells(benchmark, row), style="bold" if best else "dim" if row.route == "stock" else None)
    if benchmark.measured:
        console.print(table, highlight=False)
    for row in benchmark.rows:
        if row.status == "failed":
            console.print(f"{row.name} FAILED: {row.reason}", style="red", markup=False, highlight=False)
    for row in benchmark.rows:
        if row.status == "absent":
            console.print(f"{row.name} not run: {row.reason}", style="dim", markup=False, highlight=False)
    for line in facts(benchmark):
        console.print(line, style="dim", markup=False, highlight=False)
    for line in warnings(benchmark):
        console.print(line, style="bold yellow", markup=False, highlight=False)
