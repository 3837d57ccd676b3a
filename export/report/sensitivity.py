"""What each block loses when it alone is in INT8."""

from math import isfinite
from typing import TYPE_CHECKING

from pvt_edge.export.precision.record import BlockSensitivity, SearchRecord
from pvt_edge.export.report.blocks import OTHER, kind_of
from pvt_edge.export.report.candidates import most_sensitive
from pvt_edge.reporting import canvas
from pvt_edge.reporting.rounding import counted, drop

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 25
COLOURS = {
    "attn": canvas.BLUE,
    "mlp": canvas.ORANGE,
    "patch_embed": canvas.GREEN,
    "neck": canvas.SKY,
    "head": canvas.PINK,
    OTHER: canvas.GREY,
}
_LEAST_SPAN = 1e-4  # below the figures' last digit, bars of rounding noise would look like differences
_ROOM = 0.14  # of the span, for the figures behind the bars


def draw(search: SearchRecord) -> "Figure | None":
    """Horizontal bars, the most sensitive block on top; None where no block was measured alone."""
    measured = [block for block in most_sensitive(search) if isfinite(block.drop)]
    blocks = measured[:SHOWN]
    if not blocks:
        return None
    few = f"the first {search.sensitivity_pictures} of " if search.sensitivity_pictures else ""
    figure, axes = canvas.axes_below(
        f"The most sensitive blocks of {search.variant} {search.task}",
        f"{len(blocks)} of {counted(len(measured), 'block')}. {search.metric.words} on {few}{search.metric.data}.",
        1.1 + 0.235 * len(blocks),
    )
    canvas.bars_axes(axes, [block.block for block in blocks], longest=46)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_xlabel(f"loss of {canvas.shorten(search.metric.words, 32)} with only this block in INT8", loc="right")
    _set_limits(axes, [block.drop for block in blocks])
    axes.axvline(0, color=canvas.BLACK, linewidth=1)
    for row, block in enumerate(blocks):
        _draw_bar(axes, row, block)
    for kind, colour in COLOURS.items():
        if any(kind_of(block.block) == kind for block in blocks):
            axes.barh(0, 0, color=colour, label=kind)
    canvas.legend_above(axes)
    return figure


def _set_limits(axes: "Axes", drops: list[float]) -> None:
    low, high = min(0.0, *drops), max(0.0, *drops)
    high = max(high, low + _LEAST_SPAN)
    room = _ROOM * (high - low)
    axes.set_xlim(low - room if low < 0 else low, high + room)


def _draw_bar(axes: "Axes", row: int, block: BlockSensitivity) -> None:
    axes.barh(row, block.drop, height=0.66, color=COLOURS[kind_of(block.block)])
    side, alignment = (-4, "right") if block.drop < 0 else (4, "left")
    figure = drop(block.drop)
    axes.annotate(figure, (block.drop, row), (side, 0), "data", "offset points", ha=alignment, va="center", size=8.5)
