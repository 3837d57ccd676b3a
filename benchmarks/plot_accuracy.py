"""Accuracy against latency: what each row buys."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvt_edge.benchmarks.words import accuracy_name, title
from pvt_edge.reporting.canvas import BLACK, COLOURS, GREY, axes_below
from pvt_edge.reporting.labels import Label, place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pvt_edge.benchmarks.benchmark import Measured

_MARKERS = {"fp32": "s", "bf16": "D", "fp16": "D", "approx": "P", "int8": "o"}
_RADIUS = 4.5  # points
_WIDE = 4.0  # slowest over fastest from which on a linear axis would crowd the fast ones
_LEAST_SPAN = 0.01  # of the metric that is drawn at least, so that a difference in the last digit looks like one


def draw(measured: "Measured") -> "Figure | None":
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
