"""Accuracy against latency: what each candidate buys, and what the budget forbids."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvt_edge.export.precision.record import SearchRecord
from pvt_edge.export.report.candidates import precision_of, reference_value
from pvt_edge.export.report.scale import Point, Scale, scale_of
from pvt_edge.reporting.canvas import BLACK, CHOSEN, COLOURS, GREY, SHADE, axes_below, shorten
from pvt_edge.reporting.labels import Label, place_labels
from pvt_edge.reporting.rounding import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

_MARKERS = {"fp32": "s", "bf16": "D", "fp16": "D", "approx": "P", "int8": "o"}
_RADIUS, _CHOSEN_RADIUS = 4.2, 8.0  # points


def draw(search: SearchRecord) -> "Figure | None":
    """Points of (median ms, metric value), the best at the top left; None where nothing was timed."""
    scale = scale_of(search)
    if scale is None:
        return None
    figure, axes = axes_below(f"Accuracy against latency, {search.variant} {search.task}", _line_of(search, scale), 4.6)
    axes.set_xlabel("ms per inference, median (lower is better)")
    axes.set_ylabel(f"{shorten(search.metric.words, 24)} (higher is better)")
    axes.set_xlim(scale.ms_limits)
    axes.set_ylim(scale.value_limits)
    axes.grid()
    lines, texts = _draw_budget(axes, search)
    front = _front(scale.points)
    lines += axes.plot([p.x for p in front], [p.y for p in front], color=GREY, linewidth=1, zorder=1)
    for point in scale.points:
        _draw_point(axes, point)
    place_labels(figure, axes, [_label(point) for point in sorted(scale.points, key=_rank)], lines=lines, texts=texts)
    return figure


def _line_of(search: SearchRecord, scale: Scale) -> str:
    """What was measured, and what the picture leaves out."""
    untimed = len(search.candidates) - len(scale.points)
    notes = [
        f"{search.metric.words} on {search.metric.data}.",
        *([f"{counted(untimed, 'more candidate')} not timed."] if untimed else []),
        *(["A triangle points off the scale."] if any(point.off_scale for point in scale.points) else []),
        f"{search.runtime}, {counted(search.threads, 'thread')}, {search.machine}.",
    ]
    return " ".join(notes)


def _draw_budget(axes: "Axes", search: SearchRecord) -> "tuple[list[Line2D], list[Text]]":
    """The line that a candidate must not fall below, and its words; none where nothing is gated."""
    reference = reference_value(search)
    if search.max_drop is None or reference is None:
        return [], []
    limit = reference - search.max_drop
    axes.axhspan(axes.get_ylim()[0], limit, color=SHADE, linewidth=0, zorder=0)
    line = axes.axhline(limit, color=BLACK, linewidth=1, linestyle=(0, (5, 4)), zorder=1)
    words = f"over budget: loses more than {search.max_drop:g}"
    corner, end = (0.995, limit), axes.get_yaxis_transform()
    text = axes.annotate(words, corner, (0, -4), end, "offset points", ha="right", va="top", size=9.5, color=GREY)
    return [line], [text]


def _front(points: Sequence[Point]) -> list[Point]:
    """The points than which none is both faster and more accurate, the fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.ms, -p.value)):
        if not front or point.value > front[-1].value:
            front.append(point)
    return front


def _draw_point(axes: "Axes", point: Point) -> None:
    kind, chosen = precision_of(point.candidate), point.candidate.chosen
    if point.off_scale:
        marker = ">" if point.x < point.ms else "v"
    else:
        marker = _MARKERS.get(kind, "^")
    colour = CHOSEN if chosen else COLOURS.get(kind, GREY)
    size, ring_size = (2 * _RADIUS) ** 2, (2 * _CHOSEN_RADIUS) ** 2
    axes.scatter(
        point.x, point.y, s=size, marker=marker, color=colour, edgecolor="white", linewidth=0.8, zorder=3 + chosen
    )
    if chosen:  # a ring does not hide its neighbours
        axes.scatter(point.x, point.y, s=ring_size, facecolor="none", edgecolor=CHOSEN, linewidth=2, zorder=4)


def _rank(point: Point) -> tuple[bool, bool, bool]:
    """Who is named first, where not all can be: the chosen one, fp32 and bf16, then those within the budget."""
    candidate = point.candidate
    return not candidate.chosen, precision_of(candidate) == "int8", not candidate.within_budget


def _label(point: Point) -> Label:
    text = " at ".join(filter(None, (shorten(point.candidate.name, 34), point.off_scale)))
    if point.candidate.chosen:
        return Label(point.x, point.y, f"{text} (chosen)", _CHOSEN_RADIUS + 1, CHOSEN, bold=True)
    return Label(point.x, point.y, text, _RADIUS)
