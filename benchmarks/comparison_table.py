"""The bundle's model and those it is compared with in one table: size, published accuracy, times."""

from collections.abc import Sequence

from pvt_edge.benchmarks.record import Benchmark, ModelFacts, Row
from pvt_edge.benchmarks.rows import row_name
from pvt_edge.reporting.rounding import NOTHING, ms
from pvt_edge.variants import VARIANTS

FACTS = ("M params", "G MACs", "top-1")
RANDOM = (
    "Comparison models are transformers' classes with random weights, by the default route, INT8 by NNCF's defaults: "
    "their times hold, their answers mean nothing. M params and G MACs are counted; top-1 is as published, of "
    "ImageNet in percent at 224x224"
)


def model_columns(benchmark: Benchmark) -> list[str]:
    """Names of the columns: the model, `FACTS`, and p50 ms of the rows that a comparison model has."""
    return ["model", *FACTS, *_kinds(benchmark)]


def model_cells(benchmark: Benchmark) -> list[list[str]]:
    """The lines: the bundle's model, the same by the default route, and each comparison model; none without any."""
    kinds = _kinds(benchmark)
    if not kinds:
        return []
    model, facts = benchmark.model, {found.name: found for found in benchmark.compared}
    known = VARIANTS.get(model.variant)
    own = fact_cells(model.parameters, model.macs, known.top1 if known else None)
    lines = [[model.variant, *own, *_times(benchmark.measured, kinds, "pvt-edge", None)]]
    if any(row.route == "stock" and row.model is None for row in benchmark.rows):
        lines.append([f"{model.variant} stock", *own, *_times(benchmark.measured, kinds, "stock", None)])
    for name in dict.fromkeys(row.model for row in benchmark.rows if row.model is not None):
        found = facts.get(name)
        its = fact_cells(found.parameters, found.macs, found.top1) if found else [NOTHING] * len(FACTS)
        lines.append([name, *its, *_times(benchmark.measured, kinds, "stock", name)])
    return lines


def fact_cells(parameters: int | None, macs: int | None, top1: float | None) -> list[str]:
    """The cells of `FACTS`."""
    return [
        f"{parameters / 1e6:.2f}" if parameters else NOTHING,
        f"{macs / 1e9:.2f}" if macs else NOTHING,
        f"{top1:.1f}" if top1 else NOTHING,
    ]


def comparison_lines(compared: Sequence[ModelFacts]) -> list[str]:
    """What a reader must know of the comparison models, a line each; nothing where there are none."""
    if not compared:
        return []
    sources = "; ".join(f"{model.name} {model.top1:g}, {model.source}" for model in compared)
    notes = [f"{model.name}: {model.note}." for model in compared if model.note]
    return [f"{RANDOM} ({sources}).", *notes]


def kind_of(row: Row) -> str:
    """Runtime, precision and batch: what rows of several models have in common."""
    return row_name("", row.runtime, row.precision, row.batch)


def _kinds(benchmark: Benchmark) -> list[str]:
    return list(dict.fromkeys(kind_of(row) for row in benchmark.rows if row.model is not None and row.precision))


def _times(rows: Sequence[Row], kinds: Sequence[str], route: str, model: str | None) -> list[str]:
    p50 = {kind_of(r): ms(r.inference.p50) for r in rows if r.inference and (r.route, r.model) == (route, model)}
    return [p50.get(kind, NOTHING) for kind in kinds]
