"""How the answers to one picture differ, by which figures, and sums of that over many pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pvt_edge.comparison.agreement import Matches
from pvt_edge.errors import DataError

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Figure:
    """What is measured: its words, those of a narrow column, the option that limits it, and whether that is the least
    or the most allowed."""

    words: str
    short: str
    option: str
    least: bool
    unit: str = ""
    empty: float = 0.0  # the value where nothing was there to measure

    def text(self, value: float) -> str:
        """The value as people read it: 1.0000, 0.43 px, 2.2e-07."""
        if self.least:  # 0.9999987 is not 1
            digits = f"{value:.{4 if value in (0, 1) or value < 0.9999 else 8}f}"
        elif value == 0 or 1e-3 <= value < 1e4:
            digits = f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"
        else:
            digits = f"{value:.1e}"
        return f"{digits} {self.unit}".rstrip()

    def within(self, value: float, limit: float) -> bool:
        """Whether the value keeps the limit; NaN does not."""
        return value >= limit if self.least else value <= limit

    def beyond(self, value: float, limit: float) -> str:
        """How a value is outside its limit: "0.34 px above the most allowed"."""
        if self.least:
            return f"{limit - value:.2g} below the least allowed"
        return f"{self.text(value - limit)} above the most allowed"

    def severity(self, value: float, limit: float) -> float:
        """How much of what is allowed the value uses up: 0 for equal answers, 1 at the limit."""
        used, allowed = (1 - value, 1 - limit) if self.least else (value, limit)
        return used / max(allowed, 1e-12)


FIGURES = {
    "f1": Figure("matched-box F1", "F1", "min_f1", least=True, empty=1.0),
    "top1": Figure("top-1 agreement", "top-1", "min_top1", least=True, empty=1.0),
    "cosine": Figure("cosine", "cosine", "min_cosine", least=True, empty=1.0),
    "box_px": Figure("box drift", "box px", "max_box_px", least=False, unit="px"),
    "score_drift": Figure("score drift", "score", "max_score_drift", least=False),
    "feature_error": Figure("feature error", "error", "max_feature_error", least=False),
}


def times(severity: float) -> str:
    """How many times what is allowed: "0.98 times", "24 times"."""
    return f"{severity:,.0f} times" if severity >= 10 else f"{severity:.2g} times"


class Tally(NamedTuple):
    """A figure before it is divided: the sum of its parts and how many there are."""

    total: float
    parts: float


@dataclass(frozen=True)
class Difference:
    """One picture's `tallies` by figure; `broken` names outputs of the artifact that are not finite,
    `broken_reference` those of the reference; `matches` are a detector's, `areas` a segmenter's: pixels of each class
    that both sides have, and that either has, by its id."""

    tallies: Mapping[str, Tally]
    broken: tuple[str, ...] = ()
    broken_reference: tuple[str, ...] = ()
    matches: Matches | None = None
    areas: Mapping[int, Tally] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether both sides gave numbers."""
        return not self.broken and not self.broken_reference

    def value(self, figure: str) -> float:
        """This picture's figure."""
        return ratio(figure, [self.tallies[figure]])

    def severity(self, limits: Mapping[str, float]) -> float:
        """How much of what is allowed the worst figure uses up: 1 at its limit, infinite for NaN."""
        if not self.finite:
            return float("inf")
        return max(FIGURES[name].severity(self.value(name), limit) for name, limit in limits.items())


def ratio(figure: str, tallies: Iterable[Tally]) -> float:
    """The figure over all pictures of the tallies; of nothing, that of equal answers."""
    rows = list(tallies)
    parts = sum(tally.parts for tally in rows)
    return sum(tally.total for tally in rows) / parts if parts else FIGURES[figure].empty


def paired(found: Sequence[Arrays], reference: Sequence[Arrays]) -> list[tuple[Arrays, Arrays]]:
    """Both sides' answers picture by picture. `DataError` unless they are of the same pictures, at least one."""
    if not found or len(found) != len(reference):
        counts = f"{len(found)} pictures found and {len(reference)} of the reference"
        raise DataError(f"cannot compare {counts}: run both on the same pictures, at least one")
    return list(zip(found, reference, strict=True))
