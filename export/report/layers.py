"""Time by kind of layer: INT8 as NNCF places it by default, and as placed here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvt_edge.export.precision.record import SearchRecord
from pvt_edge.export.report.canvas import CHOSEN, GREY, axes_below, bars_axes, legend_above
from pvt_edge.export.report.rounding import counted, ms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_THICK = 0.36


def draw(search: SearchRecord) -> "Figure | None":
    """Two horizontal bars a group of layers, the slowest group on top; None where no group was timed."""
    groups = sorted(search.layer_groups, key=lambda group: -max(group.default_ms or 0.0, group.ours_ms))
    if not groups:
        return None
    figure, axes = axes_below(
        f"Time by kind of layer, {search.variant} {search.task}",
        f"By {search.runtime}'s own counters. {counted(search.threads, 'thread')}, {search.machine}.",
        1.1 + 0.5 * len(groups),
    )
    bars_axes(axes, [f"{group.group} ({group.layers})" for group in groups])
    axes.set_xlabel("ms per inference, number of layers in brackets")
    _draw_route(axes, "default INT8", [group.default_ms for group in groups], -_THICK / 2, GREY)
    _draw_route(axes, "this export", [group.ours_ms for group in groups], _THICK / 2, CHOSEN)
    axes.margins(x=0.1)
    axes.set_xlim(left=0)
    legend_above(axes)
    return figure


def _draw_route(axes: "Axes", name: str, times_ms: Sequence[float | None], shift: float, colour: str) -> None:
    """One bar a group, `shift` rows below the group's own; nothing for a route that was not timed at all."""
    if all(time is None for time in times_ms):
        return
    lengths = [time or 0.0 for time in times_ms]
    rows = [row + shift for row in range(len(times_ms))]
    axes.barh(rows, lengths, _THICK, color=colour, label=name)
    for row, length, time in zip(rows, lengths, times_ms, strict=True):
        axes.annotate(ms(time), (length, row), (4, 0), textcoords="offset points", va="center", size=9)
