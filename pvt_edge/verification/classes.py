"""Figures by class: a mean over all detections or pixels hides what befalls a rare class."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pvt_edge.comparison.difference import Tally, ratio
from pvt_edge.comparison.figure import FIGURES

if TYPE_CHECKING:
    from pvt_edge.comparison.matching import Matches

# Measured on 149 BCCD pictures and drawn scenes: of 3,000 random draws no sound bf16 or int8 class of 10 pairs used
# up more than 1.07 times the limit of the whole; 12 px or 0.1 of score planted in one class uses up 8 times.
TIMES = 2.0  # the limit of the whole, for fewer detections scatter more
LEAST_PARTS = 10  # of fewer, one detection would decide
LEAST_PIXELS = 500  # of a segmenter's class
FORGIVEN = 2  # parts of F1: one pair lost among few is no fault


class ClassTallies:
    """Sums over many pictures, by class."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, Tally]] = defaultdict(dict)

    def add(self, matches: "Matches", names: Sequence[str]) -> None:
        """One picture's detections of the classes `names`; those of a side that is not finite have none."""
        if matches.sides is None:
            return
        found, reference = ([names[cls] for cls in side.cls.tolist()] for side in matches.sides)
        for name in (*found[: matches.n_found], *reference[: matches.n_reference]):
            self._count(name, "f1", 0, 1)
        for (i, j), (score, px) in zip(matches.pairs, matches.drifts, strict=True):
            self._count(found[i], "f1", (i < matches.n_found) + (j < matches.n_reference), 0)
            self._count(found[i], "box_px", px, 1)
            self._count(found[i], "score_drift", score, 1)

    def add_areas(self, areas: Mapping[int, Tally], names: Sequence[str]) -> None:
        """One picture's pixels by class: both sides' and either's."""
        for number, (both, either) in areas.items():
            self._count(names[number], "iou", both, either)

    def ious(self) -> dict[str, float]:
        """A segmenter's IoU of each class, over all pictures."""
        return {name: ratio("iou", [sums["iou"]]) for name, sums in self._sums.items() if "iou" in sums}

    def failures(self, figure: str, limit: float) -> list[str]:
        """A line on the worst class, if it is outside `TIMES` the whole's `limit`."""
        kind, allowed = FIGURES[figure], _times(figure, limit)
        outside = [row for row in self._judged(figure) if not kind.within(row[0], allowed)]
        if not outside:
            return []
        _, value, name = max(outside, key=lambda row: kind.severity(row[0], allowed))
        words = kind.words.removeprefix("mean ")  # of one class it is none
        return [f"{words} of {name} {kind.text(value)} is {kind.beyond(value, allowed)} of one class, {allowed:g}"]

    def _judged(self, figure: str) -> Iterator[tuple[float, float, str]]:
        """What is judged, the figure itself, and the class's name."""
        for name, tallies in self._sums.items():
            tally = tallies.get(figure, Tally(0, 0))
            if tally.parts >= (LEAST_PIXELS if figure == "iou" else LEAST_PARTS):
                forgiven = Tally(tally.total + (FORGIVEN if FIGURES[figure].least else 0), tally.parts)
                yield ratio(figure, [forgiven]), ratio(figure, [tally]), name

    def _count(self, name: str, figure: str, total: float, parts: float) -> None:
        before = self._sums[name].get(figure, Tally(0, 0))
        self._sums[name][figure] = Tally(before.total + total, before.parts + parts)


def _times(figure: str, limit: float) -> float:
    return 1 - TIMES * (1 - limit) if FIGURES[figure].least else TIMES * limit
