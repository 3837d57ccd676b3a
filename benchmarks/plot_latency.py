"""Milliseconds of every call of every row: the median as a bar, each sample as a dot."""

import random
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.benchmarks.words import title
from pvt_edge.reporting.canvas import BLACK, COLOURS, GREY, axes_below, bars_axes
from pvt_edge.reporting.rounding import counted, ms, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pvt_edge.benchmarks.benchmark import Measured

_REACH, _MOST = 1.35, 8  # how far the axis reaches, in slowest and in fastest medians: nobody must squeeze the rest
_MOST_DOTS = 2000  # of a row that are drawn: more are one blot; the report's percentiles are of all
_COLUMNS = (42, 92, 142)  # points to the right of the axes


def draw(measured: "Measured") -> "Figure | None":
    """One row each, the fastest on top; None where nothing was measured."""
    benchmark = measured.benchmark
    rows = [(row.inference.p50 / row.batch, row) for row in benchmark.measured if row.inference]
    if not rows:
        return None
    rows.sort(key=lambda pair: pair[0])
    figure, axes = axes_below(
        f"Latency of {title(benchmark)}",
        f"Inference alone. Bar: median. Dots: calls, none removed; > more lie beyond. "
        f"{counted(benchmark.machine.cores, 'core')}, {benchmark.machine.cpu}."
        + (f" BUSY MACHINE: {'; '.join(benchmark.noise.busy)}." if benchmark.noise.busy else ""),
        0.9 + 0.42 * len(rows),
    )
    bars_axes(axes, [row.name for _, row in rows])
    limit = min(rows[-1][0] * _REACH, rows[0][0] * _MOST)
    axes.set_xlim(0, limit)
    per = "an image" if any(row.batch > 1 for _, row in rows) else "a call"
    axes.set_xlabel(f"ms {per} (lower is better)")
    fastest = rows[0][0]
    for place, (p50, row) in enumerate(rows):
        samples = [value / row.batch for value in measured.samples_ms[row.name]["infer"]]
        axes.barh(place, min(p50, limit), height=0.66, color=COLOURS.get(row.precision, GREY), alpha=0.35)
        if p50 <= limit:
            axes.plot([p50, p50], [place - 0.33, place + 0.33], color=COLOURS.get(row.precision, GREY), linewidth=2.2)
        _draw_samples(axes, place, samples, limit)
        p99 = float(np.percentile(samples, 99))
        weight = "bold" if row.name == benchmark.fastest else "normal"
        _write_figures(axes, place, [ms(p50), ms(p99), times(p50 / fastest)], weight=weight)
    _write_figures(axes, -0.85, ["p50", "p99", "vs top"], color=GREY)
    return figure


def _draw_samples(axes: "Axes", place: int, samples: "Sequence[float]", limit: float) -> None:
    within = [value for value in samples if value <= limit]
    shown = random.Random(0).sample(within, _MOST_DOTS) if len(within) > _MOST_DOTS else within
    spread = random.Random(1)
    heights = [place + spread.uniform(-0.24, 0.24) for _ in shown]
    axes.scatter(shown, heights, s=3, color=BLACK, alpha=0.35, linewidth=0, zorder=3)
    if len(within) < len(samples):
        axes.plot(limit, place, marker=">", color=GREY, markersize=6, clip_on=False)


def _write_figures(axes: "Axes", row: float, figures: list[str], *, weight: str = "normal", color: str = BLACK) -> None:
    """A row's figures, in columns to the right."""
    for right, figure in zip(_COLUMNS, figures, strict=True):
        axes.annotate(
            figure, (1, row), xycoords=axes.get_yaxis_transform(), xytext=(right, 0), textcoords="offset points",
            ha="right", va="center", annotation_clip=False, weight=weight, color=color,
        )  # fmt: skip
