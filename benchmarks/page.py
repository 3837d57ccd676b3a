"""The benchmark as Markdown."""

from collections.abc import Sequence

from pvt_edge.benchmarks.comparison_table import model_cells, model_columns
from pvt_edge.benchmarks.record import Benchmark, Row
from pvt_edge.benchmarks.words import (
    cost_cells,
    cost_columns,
    facts,
    latency_cells,
    latency_columns,
    stage_cells,
    stage_columns,
    title,
    warnings,
)
from pvt_edge.reporting.markdown import bold, bullets, plain, table
from pvt_edge.reporting.rounding import ms

CAPTIONS = {
    "latency": "latency of each row",
    "accuracy": "accuracy against latency",
    "layers": "time by group of layers",
}
WITHOUT_PLOTS = 'No plots: matplotlib is not installed here. `pip install "pvt-edge[bench]"` brings it.'


def page(benchmark: Benchmark, plots: Sequence[str] | None) -> str:
    """The text of benchmark.md; `plots` are the relative names of those drawn, None where matplotlib is missing."""
    rows = benchmark.measured
    sections = [
        f"# Benchmark of {title(benchmark)}",
        *(bold(plain(line)) for line in warnings(benchmark)),
        table(latency_columns(benchmark), [[plain(cell) for cell in latency_cells(benchmark, row)] for row in rows]),
        "Milliseconds of one call of inference; percentiles of all calls, none removed.",
        *_models(benchmark),
        *_others(benchmark.rows),
        *([WITHOUT_PLOTS] if plots is None else _pictures(plots)),
        "## From JPEG to result",
        table(stage_columns(), [[plain(cell) for cell in stage_cells(row)] for row in rows]),
        "Median milliseconds of each stage; the medians need not add up.",
        "## Cold start, memory and size",
        table(cost_columns(benchmark), [[plain(cell) for cell in cost_cells(benchmark, row)] for row in rows]),
        "Milliseconds of a fresh process until its first result, files cached by the system; the most memory it had.",
        *_layers(rows),
        "## How it was measured",
        bullets([plain(line) for line in facts(benchmark)]),
        f"```sh\n{benchmark.command}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _models(benchmark: Benchmark) -> list[str]:
    lines = model_cells(benchmark)
    if not lines:
        return []
    return [
        "## Models compared",
        table(model_columns(benchmark), [[plain(cell) for cell in line] for line in lines]),
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
