"""The plots of a benchmark: milliseconds of every call, accuracy against latency, where OpenVINO's time goes."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.benchmarks.words import accuracy_name, title
from pvt_edge.reporting.labels import Label, place_labels
from pvt_edge.reporting.plots import (
    BLACK,
    BLUE,
    COLOURS,
    FAINT,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    VERMILION,
    axes_below,
    bars_axes,
)
from pvt_edge.reporting.wording import counted, ms, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pvt_edge.benchmarks.benchmark import Measured

_MARKERS = {"fp32": "s", "bf16": "D", "fp16": "D", "approx": "P", "int8": "o"}
_RADIUS = 4.5  # points
_WIDE = 4.0  # slowest over fastest from which on a linear axis would crowd the fast ones
_LEAST_SPAN = 0.01  # of the metric that is drawn at least, so that a difference in the last digit looks like one
_REACH, _MOST = 1.35, 8  # how far the axis reaches, in slowest and in fastest medians: nobody must squeeze the rest
_MOST_DOTS = 2000  # of a row that are drawn: more are one blot; the report's percentiles are of all
_COLUMNS = (42, 92, 142)  # points to the right of the axes
_GROUP_COLOURS = {
    "linear and convolution": BLUE,
    "attention": ORANGE,
    "depthwise convolution": GREEN,
    "norm": SKY,
    "quantise and elementwise": VERMILION,
    "moves": PINK,
    "top-k": GREY,
}
_SEGMENT_ROOM = 0.06  # of the axis that a segment needs for its figure


def draw_accuracy(measured: "Measured") -> "Figure | None":
    """Points of (median ms, metric), the best at the top left; None where fewer than two rows have an accuracy."""
    benchmark = measured.benchmark
    name = accuracy_name(benchmark)
    points = [
        (row.inference.p50 / row.batch, row.accuracy[name], row)
        for row in benchmark.measured
        if row.inference and name and row.accuracy and name in row.accuracy
    ]
    if len(points) < 2:
        return None
    shown = {row.name for *_, row in points}
    rest = [row.name for row in benchmark.measured if row.name not in shown]
    hollow = any(row.route != "pvt-edge" for *_, row in points)
    figure, axes = axes_below(
        f"Accuracy against latency, {title(benchmark)}",
        f"{name} on {benchmark.model.accuracy_data}; p50 of inference alone."
        + (" Hollow: torch and the default route." if hollow else "")
        + (f" Without a measured accuracy: {', '.join(rest)}." if rest else ""),
        4.2,
    )
    values = [y for _, y, _ in points]
    middle, span = (max(values) + min(values)) / 2, max(max(values) - min(values), _LEAST_SPAN)
    _limit_times(axes, [x for x, *_ in points])
    axes.set_ylim(middle - 0.8 * span, middle + 0.8 * span)
    axes.set_xlabel("ms an image, median (lower is better)")
    axes.set_ylabel(f"{name} (higher is better)")
    axes.grid()
    for x, y, row in points:
        marker, colour = _MARKERS.get(row.precision, "^"), COLOURS.get(row.precision, GREY)
        face, edge, width = (colour, "white", 0.8) if row.route == "pvt-edge" else ("none", colour, 1.6)
        axes.scatter(
            x, y, s=(2 * _RADIUS) ** 2, marker=marker, facecolor=face, edgecolor=edge, linewidth=width, zorder=3
        )
    place_labels(
        figure, axes, [Label(x, y, row.name, _RADIUS, BLACK) for x, y, row in sorted(points, key=lambda p: p[0])]
    )
    return figure


def _limit_times(axes: "Axes", times_ms: Sequence[float]) -> None:
    """From 0, or where the times lie far apart on a logarithmic axis of round figures."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    least, most = min(times_ms), max(times_ms)
    if most < _WIDE * least:
        axes.set_xlim(0, most * 1.25)
        return
    axes.set_xscale("log")
    axes.set_xlim(least / 1.4, most * 1.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def draw_latency(measured: "Measured") -> "Figure | None":
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


def draw_layers(measured: "Measured") -> "Figure | None":
    """Stacks of milliseconds, the same groups in the same order and colour; None where no row was profiled."""
    rows = [(row.name, row.layers_ms) for row in measured.benchmark.measured if row.layers_ms]
    if not rows:
        return None
    rows.sort(key=lambda pair: sum(pair[1].values()))
    figure, axes = axes_below(
        f"Time by group of layers, {title(measured.benchmark)}",
        "By OpenVINO's own counters, which cost time of their own: compare rows, the sums are no latencies.",
        1.3 + 0.5 * len(rows),
    )
    bars_axes(axes, [name for name, _ in rows])
    longest = max(sum(groups.values()) for _, groups in rows)
    axes.set_xlim(0, longest * 1.08)
    axes.set_xlabel("ms a call (lower is better)")
    known = [*_GROUP_COLOURS, *sorted({group for _, groups in rows for group in groups} - set(_GROUP_COLOURS))]
    left = [0.0] * len(rows)
    for group in known:
        widths = [groups.get(group, 0.0) for _, groups in rows]
        if not any(widths):
            continue
        colour = _GROUP_COLOURS.get(group, FAINT)
        axes.barh(range(len(rows)), widths, left=left, height=0.62, color=colour, edgecolor="white", label=group)
        for place, width in enumerate(widths):
            if width > _SEGMENT_ROOM * longest:
                axes.text(left[place] + width / 2, place, ms(width), ha="center", va="center", size=9, color="white")
            left[place] += width
    for place, whole in enumerate(left):
        axes.annotate(
            ms(whole), (whole, place), (5, 0), textcoords="offset points", va="center", weight="bold", size=9.5
        )
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncol=3, handlelength=1, columnspacing=1.2)
    return figure
