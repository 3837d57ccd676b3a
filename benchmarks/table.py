"""The benchmark on a terminal, and as Markdown."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pvt_edge.benchmarks import words
from pvt_edge.benchmarks.record import Benchmark, Row
from pvt_edge.reporting.wording import bold, bullets, ms, plain, table

if TYPE_CHECKING:
    from rich.console import Console

CAPTIONS = {
    "latency": "latency of each row",
    "accuracy": "accuracy against latency",
    "layers": "time by group of layers",
}
WITHOUT_PLOTS = 'No plots: matplotlib is not installed here. `pip install "pvt-edge[bench]"` brings it.'


def print_tables(benchmark: Benchmark, console: "Console") -> None:
    """The rows that were measured, why the others were not, how it was done, and what to beware of."""
    b = benchmark
    console.print(words.title(b), style="bold", highlight=False)
    _print_rows(console, b, "inference alone, ms", words.latency_columns(b), lambda row: words.latency_cells(b, row))
    if lines := words.model_cells(b):
        _print(console, "models compared, inference alone, median ms", words.model_columns(b), lines)
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

    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for i, name in enumerate(columns):
        grid.add_column(name, justify="left" if i == 0 else "right", no_wrap=i == 0)
    for i, line in enumerate(lines):
        grid.add_row(*line, style="bold" if i == bold else None)
    console.print()
    console.print(grid, highlight=False)


def page(benchmark: Benchmark, plots: Sequence[str] | None) -> str:
    """The text of benchmark.md; `plots` are the relative names of those drawn, None where matplotlib is missing."""
    rows = benchmark.measured
    sections = [
        f"# Benchmark of {words.title(benchmark)}",
        *(bold(plain(line)) for line in words.warnings(benchmark)),
        table(
            words.latency_columns(benchmark),
            [[plain(cell) for cell in words.latency_cells(benchmark, row)] for row in rows],
        ),
        "Milliseconds of one call of inference; percentiles of all calls, none removed.",
        *_models(benchmark),
        *_others(benchmark.rows),
        *([WITHOUT_PLOTS] if plots is None else _pictures(plots)),
        "## From JPEG to result",
        table(words.stage_columns(), [[plain(cell) for cell in words.stage_cells(row)] for row in rows]),
        "Median milliseconds of each stage; the medians need not add up.",
        "## Cold start, memory and size",
        table(
            words.cost_columns(benchmark), [[plain(cell) for cell in words.cost_cells(benchmark, row)] for row in rows]
        ),
        "Milliseconds of a fresh process until its first result, files cached by the system; the most memory it had.",
        *_layers(rows),
        "## How it was measured",
        bullets([plain(line) for line in words.facts(benchmark)]),
        f"```sh\n{benchmark.command}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _models(benchmark: Benchmark) -> list[str]:
    lines = words.model_cells(benchmark)
    if not lines:
        return []
    return [
        "## Models compared",
        table(words.model_columns(benchmark), [[plain(cell) for cell in line] for line in lines]),
        "Median milliseconds of one call of inference; the times of other models are of the default route.",
    ]


def _others(rows: Sequence[Row]) -> list[str]:
    lines = [f"{plain(row.name)}: {row.status}, {plain(str(row.reason))}" for row in rows if row.status != "measured"]
    return ["## Rows without figures", bullets(lines)] if lines else []


def _pictures(plots: Sequence[str]) -> list[str]:
    names = {f"plots/{name}.png": caption for name, caption in CAPTIONS.items()}
    return [f"![{caption}]({name})" for name, caption in names.items() if name in plots]


def _layers(rows: Sequence[Row]) -> list[str]:
    timed = [row for row in rows if row.layers_ms]
    if not timed:
        return []
    groups = list(dict.fromkeys(group for row in timed for group in row.layers_ms or {}))
    lines = [[group, *(ms((row.layers_ms or {}).get(group, 0.0)) for row in timed)] for group in groups]
    return [
        "## Time by group of layers",
        table(["layers", *(plain(row.name) for row in timed)], lines),
        "Milliseconds by the runtime's own counters, which cost time of their own: compare, do not add up.",
    ]
