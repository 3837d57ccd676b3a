"""Time by kind of layer: in float, and with INT8 as placed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvt_edge.export.precision.record import SearchRecord
from pvt_edge.reporting.canvas import CHOSEN, GREY, axes_below, bars_axes, legend_above
from pvt_edge.reporting.rounding import counted, ms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_THICK = 0.36


def draw(search: SearchRecord) -> "Figure | None":
    """Two horizontal bars a group of layers, the slowest group on top; None where no group was timed."""
    groups = sorted(search.layer_groups, key=lambda group: -max(group.before_ms, group.after_ms))
    if not groups:
        return None
    figure, axes = axes_below(
        f"Time by kind of layer, {search.variant} {search.task}",
        f"By {search.runtime}'s own counters. {counted(search.threads, 'thread')}, {search.machine}.",
        1.1 + 0.5 * len(groups),
    )
    bars_axes(axes, [f"{group.group} ({group.layers})" for group in groups])
    axes.set_xlabel("ms per inference, number of layers in brackets")
    _draw_route(axes, "in float", [group.before_ms for group in groups], -_THICK / 2, GREY)
    _draw_route(axes, "with INT8", [group.after_ms for group in groups], _THICK / 2, CHOSEN)
    axes.margins(x=0.1)
    axes.set_xlim(left=0)
    legend_above(axes)
    return figure


def _draw_route(axes: "Axes", name: str, times_ms: Sequence[float], shift: float, colour: str) -> None:
    """One bar a group, `shift` rows below the group's own."""
    rows = [row + shift for row in range(len(times_ms))]
    axes.barh(rows, times_ms, _THICK, color=colour, label=name)
    for row, time in zip(rows, times_ms, strict=True):
        axes.annotate(ms(time), (time, row), (4, 0), textcoords="offset points", va="center", size=9)
