"""How the answers to one picture differ, and sums of that over many pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pvt_edge.comparison.figure import FIGURES
from pvt_edge.comparison.matching import Matches
from pvt_edge.errors import DataError

Arrays = Mapping[str, NDArray[Any]]


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
