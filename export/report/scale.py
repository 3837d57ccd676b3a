"""What the plot of accuracy against latency shows in full, and what it only points to."""

from dataclasses import dataclass
from math import isfinite

from pvt_edge.export.precision.record import Candidate, SearchRecord
from pvt_edge.export.report.candidates import precision_of, reference_value
from pvt_edge.reporting.rounding import fraction, ms

_DEPTH = 4  # budgets below fp32 that are drawn: one ruined candidate must not squeeze the others together
_FREE_DEPTH = 0.05  # the same where there is no budget
_FAR = 3  # so many times the others' spread away, fp32 would squeeze them together
_LEAST_VALUES = 0.002  # spans that are drawn at least, so that a difference in the last digit looks like one
_LEAST_MS = 0.05  # of the fastest


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
