"""Milliseconds of each candidate: the median as a bar, with a whisker to the 99th percentile."""

from typing import TYPE_CHECKING, Any

from pvt_edge.export.precision.record import Candidate, Latency, SearchRecord
from pvt_edge.export.report.candidates import precision_of, speedup
from pvt_edge.reporting.canvas import CHOSEN, COLOURS, GREY, axes_below, bars_axes, shorten
from pvt_edge.reporting.rounding import counted, ms, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WHISKERS = 1.6  # how far, in slowest medians, the axis reaches: one hiccup must not squeeze all bars


def draw(search: SearchRecord) -> "Figure | None":
    """Horizontal bars, the fastest on top; None where nothing was timed."""
    timed = [(c, c.latency) for c in search.candidates if c.latency is not None]
    if not timed:
        return None
    timed.sort(key=lambda pair: pair[1].p50)
    figure, axes = axes_below(
        f"Latency of {search.variant} {search.task}",
        f"Bar: median. Whisker: 99th percentile. {search.runtime}, {counted(search.threads, 'thread')}, "
        f"{search.machine}.",
        0.9 + 0.36 * len(timed),
    )
    bars_axes(axes, [f"{shorten(c.name, 27)} (chosen)" if c.chosen else c.name for c, _ in timed])
    limit = min(max(latency.p99 for _, latency in timed) * 1.03, max(latency.p50 for _, latency in timed) * _WHISKERS)
    axes.set_xlim(0, limit)
    axes.set_xlabel("ms per inference (lower is better)")
    for row, (candidate, latency) in enumerate(timed):
        _draw_bar(axes, row, candidate, latency)
        weight = "bold" if candidate.chosen else "normal"
        axes.get_yticklabels()[row].set_fontweight(weight)
        figures = [ms(latency.p50), ms(latency.p99), times(speedup(search, candidate))]
        _write_figures(axes, row, figures, weight=weight)
    _write_figures(axes, -0.85, ["p50", "p99", "vs fp32"], color=GREY)
    return figure


def _draw_bar(axes: "Axes", row: int, candidate: Candidate, latency: Latency) -> None:
    colour = CHOSEN if candidate.chosen else COLOURS.get(precision_of(candidate), GREY)
    axes.barh(row, latency.p50, height=0.62, color=colour)
    end = min(latency.p99, axes.get_xlim()[1])
    axes.plot([latency.p50, end], [row, row], color=GREY, linewidth=1.4, solid_capstyle="butt")
    axes.plot(end, row, marker=">" if end < latency.p99 else "|", color=GREY, markersize=7, clip_on=False)


def _write_figures(axes: "Axes", row: float, figures: list[str], **style: Any) -> None:
    """A row's figures, in columns to the right, where no whisker reaches."""
    for column, figure in enumerate(figures):
        axes.annotate(
            figure, (1, row), xycoords=axes.get_yaxis_transform(), xytext=(45 + 52 * column, 0),
            textcoords="offset points", ha="right", va="center", annotation_clip=False, **style,
        )  # fmt: skip
