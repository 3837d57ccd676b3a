"""Where OpenVINO's time goes: a bar a row, stacked by group of layers."""

from typing import TYPE_CHECKING

from pvt_edge.benchmarks.words import title
from pvt_edge.reporting.canvas import (
    BLUE,
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
from pvt_edge.reporting.rounding import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pvt_edge.benchmarks.benchmark import Measured

_COLOURS = {
    "linear and convolution": BLUE,
    "attention": ORANGE,
    "depthwise convolution": GREEN,
    "norm": SKY,
    "quantise and elementwise": VERMILION,
    "moves": PINK,
    "top-k": GREY,
}
_ROOM = 0.06  # of the axis that a segment needs for its figure


def draw(measured: "Measured") -> "Figure | None":
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
    known = [*_COLOURS, *sorted({group for _, groups in rows for group in groups} - set(_COLOURS))]
    left = [0.0] * len(rows)
    for group in known:
        widths = [groups.get(group, 0.0) for _, groups in rows]
        if not any(widths):
            continue
        colour = _COLOURS.get(group, FAINT)
        axes.barh(range(len(rows)), widths, left=left, height=0.62, color=colour, edgecolor="white", label=group)
        for place, width in enumerate(widths):
            if width > _ROOM * longest:
                axes.text(left[place] + width / 2, place, ms(width), ha="center", va="center", size=9, color="white")
            left[place] += width
    for place, whole in enumerate(left):
        axes.annotate(
            ms(whole), (whole, place), (5, 0), textcoords="offset points", va="center", weight="bold", size=9.5
        )
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncol=3, handlelength=1, columnspacing=1.2)
    return figure
