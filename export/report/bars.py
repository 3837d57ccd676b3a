"""Plots of a search: milliseconds of candidates and of kinds of layers, what blocks and moves lose alone."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from pvt_edge.export.precision.record import ApproximationRecord, BlockSensitivity, Candidate, Latency, SearchRecord
from pvt_edge.export.report.facts import OTHER, kind_of, most_sensitive, precision_of, speedup
from pvt_edge.reporting.plots import (
    BLACK,
    BLUE,
    CHOSEN,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    axes_below,
    bars_axes,
    legend_above,
    shorten,
)
from pvt_edge.reporting.wording import counted, drop, ms, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WHISKERS = 1.6  # how far, in slowest medians, the axis reaches: one hiccup must not squeeze all bars
_THICK = 0.36  # of a bar, where two stand side by side
_BLOCKS_SHOWN = 25
_KIND_COLOURS = {
    "attn": BLUE,
    "mlp": ORANGE,
    "patch_embed": GREEN,
    "neck": SKY,
    "head": PINK,
    OTHER: GREY,
}
_LEAST_SPAN = 1e-4  # below the figures' last digit, bars of rounding noise would look like differences
_ROOM = 0.14  # of the span, for the figures behind the bars
_MOVES_NAMED = 10  # points with a name


def draw_latency(search: SearchRecord) -> "Figure | None":
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
        _draw_candidate(axes, row, candidate, latency)
        weight = "bold" if candidate.chosen else "normal"
        axes.get_yticklabels()[row].set_fontweight(weight)
        figures = [ms(latency.p50), ms(latency.p99), times(speedup(search, candidate))]
        _write_figures(axes, row, figures, weight=weight)
    _write_figures(axes, -0.85, ["p50", "p99", "vs fp32"], color=GREY)
    return figure


def _draw_candidate(axes: "Axes", row: int, candidate: Candidate, latency: Latency) -> None:
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


def draw_layers(search: SearchRecord) -> "Figure | None":
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


def draw_sensitivity(search: SearchRecord) -> "Figure | None":
    """Horizontal bars, the most sensitive block on top; None where no block was measured alone."""
    measured = [block for block in most_sensitive(search) if isfinite(block.drop)]
    blocks = measured[:_BLOCKS_SHOWN]
    if not blocks:
        return None
    few = f"the first {search.sensitivity_pictures} of " if search.sensitivity_pictures else ""
    figure, axes = axes_below(
        f"The most sensitive blocks of {search.variant} {search.task}",
        f"{len(blocks)} of {counted(len(measured), 'block')}. {search.metric.words} on {few}{search.metric.data}.",
        1.1 + 0.235 * len(blocks),
    )
    bars_axes(axes, [block.block for block in blocks], longest=46)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_xlabel(f"loss of {shorten(search.metric.words, 32)} with only this block in INT8", loc="right")
    _set_limits(axes, [block.drop for block in blocks])
    axes.axvline(0, color=BLACK, linewidth=1)
    for row, block in enumerate(blocks):
        _draw_block(axes, row, block)
    for kind, colour in _KIND_COLOURS.items():
        if any(kind_of(block.block) == kind for block in blocks):
            axes.barh(0, 0, color=colour, label=kind)
    legend_above(axes)
    return figure


def _set_limits(axes: "Axes", drops: list[float]) -> None:
    low, high = min(0.0, *drops), max(0.0, *drops)
    high = max(high, low + _LEAST_SPAN)
    room = _ROOM * (high - low)
    axes.set_xlim(low - room if low < 0 else low, high + room)


def _draw_block(axes: "Axes", row: int, block: BlockSensitivity) -> None:
    axes.barh(row, block.drop, height=0.66, color=_KIND_COLOURS[kind_of(block.block)])
    side, alignment = (-4, "right") if block.drop < 0 else (4, "left")
    figure = drop(block.drop)
    axes.annotate(figure, (block.drop, row), (side, 0), "data", "offset points", ha=alignment, va="center", size=8.5)


def draw_moves(record: ApproximationRecord) -> "Figure | None":
    """Loss against milliseconds saved, a point a move; None where none was measured alone."""
    if not record.alone or record.metric is None:
        return None
    figure, axes = axes_below(
        "What each move loses and saves alone", f"{record.metric.words} on {record.metric.data}.", 4.5
    )
    axes.scatter([row.ms_saved for row in record.alone], [row.drop for row in record.alone], color=BLUE)
    for row in sorted(record.alone, key=lambda row: -row.ms_saved)[:_MOVES_NAMED]:
        text = shorten(row.words, 40)
        axes.annotate(text, (row.ms_saved, row.drop), (4, 3), textcoords="offset points", size=7)
    axes.axhline(0, color=BLACK, linewidth=1)
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.set_xlabel("ms saved of one inference")
    axes.set_ylabel(f"loss of {shorten(record.metric.words, 32)}")
    return figure
