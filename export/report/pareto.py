"""Accuracy against latency: what each candidate buys, and what the budget forbids."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from pvt_edge.export.precision.record import Candidate, SearchRecord
from pvt_edge.export.report.facts import precision_of, reference_value
from pvt_edge.reporting.labels import Label, place_labels
from pvt_edge.reporting.plots import BLACK, CHOSEN, COLOURS, GREY, SHADE, axes_below, shorten
from pvt_edge.reporting.wording import counted, fraction, ms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

_DEPTH = 4  # budgets below fp32 that are drawn: one ruined candidate must not squeeze the others together
_FREE_DEPTH = 0.05  # the same where there is no budget
_FAR = 3  # so many times the others' spread away, fp32 would squeeze them together
_LEAST_VALUES = 0.002  # spans that are drawn at least, so that a difference in the last digit looks like one
_LEAST_MS = 0.05  # of the fastest
_MARKERS = {"fp32": "s", "bf16": "D", "fp16": "D", "approx": "P", "int8": "o"}
_RADIUS, _CHOSEN_RADIUS = 4.2, 8.0  # points


@dataclass(frozen=True)
class Point:
    """A timed candidate at (x, y), its median ms and metric value, or on the edge of the scale that it lies beyond."""

    candidate: Candidate
    ms: float
    value: float
    x: float
    y: float

    @property
    def off_scale(self) -> str:
        """The figure that (x, y) does not show; empty for a point that lies where it is drawn."""
        if self.x < self.ms:
            return f"{ms(self.ms)} ms"
        return fraction(self.value) if self.y > self.value else ""


@dataclass(frozen=True)
class Scale:
    """Limits of both axes, and the points between them."""

    points: tuple[Point, ...]
    ms_limits: tuple[float, float]
    value_limits: tuple[float, float]


def scale_of(search: SearchRecord) -> Scale | None:
    """The scale on which the candidates of `search` can be told apart; None where none was timed."""
    timed = [(c.latency.p50, c.value, c) for c in search.candidates if c.latency is not None and isfinite(c.value)]
    if not timed:
        return None
    fastest, slowest = _ms_ends([(p50, candidate) for p50, _, candidate in timed])
    lowest, highest = _value_ends(search, [value for _, value, _ in timed])
    points = tuple(Point(c, p50, value, min(p50, slowest), max(value, lowest)) for p50, value, c in timed)
    return Scale(
        points,
        _widened(fastest, slowest, least=_LEAST_MS * fastest),
        _widened(lowest, highest, least=_LEAST_VALUES),
    )


def _ms_ends(timed: list[tuple[float, Candidate]]) -> tuple[float, float]:
    """The fastest, and the slowest that is drawn where it belongs or, for a far fp32, a little beyond the others."""
    fastest, slowest = min(p50 for p50, _ in timed), max(p50 for p50, _ in timed)
    others = [p50 for p50, candidate in timed if precision_of(candidate) != "fp32"]
    if others:
        spread = max(max(others) - fastest, _LEAST_MS * fastest)
        if slowest - max(others) > _FAR * spread:
            return fastest, max(others) + 0.4 * spread
    return fastest, slowest


def _value_ends(search: SearchRecord, values: list[float]) -> tuple[float, float]:
    """The lowest value that is drawn where it belongs, the budget's included, and the highest."""
    reference = reference_value(search)
    if reference is None:
        return min(values), max(values)
    depth = _FREE_DEPTH if search.max_drop is None else max(_DEPTH * search.max_drop, _LEAST_VALUES)
    limit = reference - (search.max_drop or 0)
    return min(limit, max(min(values), reference - depth)), max(*values, limit)


def _widened(low: float, high: float, *, least: float) -> tuple[float, float]:
    """The span from `low` to `high`, at least `least`, with a margin for markers and names."""
    margin = max(least - (high - low), 0) / 2 + 0.16 * max(high - low, least)
    return low - margin, high + margin


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
