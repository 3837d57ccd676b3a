"""An artifact under comparison: its differences by picture and by class, and what of them is outside tolerance."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pvt_edge.comparison.difference import FIGURES, Difference, Tally, ratio
from pvt_edge.errors import PvtEdgeError
from pvt_edge.tasks import get_task
from pvt_edge.verification.checks import compare
from pvt_edge.verification.report import ArtifactRow, PictureRow
from pvt_edge.verification.side import Side, in_input_pixels

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec
    from pvt_edge.comparison.agreement import Matches
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.pictures.resizing import Placement
    from pvt_edge.predictor.frames import Prepared

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


class Contender:
    """One artifact, `side` while it runs; `fault` says why it does not, `notes` what was wrong before any picture."""

    def __init__(
        self,
        name: str,
        limits: Mapping[str, float],
        side: Side | None,
        fault: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.name, self.limits, self.side, self.fault = name, limits, side, fault
        self.notes = notes
        self.latest: Arrays = {}  # what it gave last
        self._pictures: list[PictureRow] = []
        self._tallies: dict[str, list[Tally]] = {figure: [] for figure in limits}
        self._classes = ClassTallies()
        self._broken: dict[str, list[str]] = {}  # what is not finite -> on which pictures
        self._seen = 0.0  # detections, of both sides

    def judge(
        self, picture: str, prepared: "Prepared", reference: "Arrays", placement: "Placement", post: "PostprocessSpec"
    ) -> Difference | None:
        """How it differs on one picture from the reference's answer, whose input that picture lies in as `placement`
        says; None where it does not run."""
        if self.side is None:
            return None
        manifest = self.side.bundle.manifest
        try:
            self.latest = found = in_input_pixels(self.side.answer(prepared), placement)
            get_task(manifest.task).check_shapes(found, reference)
        except PvtEdgeError as error:
            self.side, self.fault = None, f"failed on {picture}: {error}"
            return None
        difference = compare(manifest.task, found, reference, post)
        figures = {name: difference.value(name) for name in self.limits}
        self._pictures.append(PictureRow(picture, figures, difference.severity(self.limits)))
        for name, tallies in self._tallies.items():
            tallies.append(difference.tallies[name])
        for owner, broken in (("", difference.broken), ("the reference's ", difference.broken_reference)):
            if broken:
                self._broken.setdefault(owner + ", ".join(broken), []).append(picture)
        if difference.matches:
            self._classes.add(difference.matches, manifest.labels)
        self._classes.add_areas(difference.areas, manifest.labels)
        self._seen += difference.matches.n_found + difference.matches.n_reference if difference.matches else 1
        return difference

    def row(self, conf: float) -> ArtifactRow:
        """The figures over all pictures, and a line for each that is outside its limit; `conf` is a detector's."""
        figures = {name: ratio(name, tallies) for name, tallies in self._tallies.items()} if self._pictures else {}
        failures = [*self.notes, *([self.fault] if self.fault else [])]
        for outputs, where in self._broken.items():
            on = f"{len(where)} of {len(self._pictures)} pictures, first on {where[0]}"
            failures.append(f"{outputs} infinite or undefined on {on}")
        if self._pictures and not self._seen:
            failures.append(
                f"neither side detects anything above {conf:g} in any picture, so nothing was compared: give pictures "
                "that show something, or lower --conf"
            )
        for name, value in figures.items():
            if not self._within(name, value):
                failures.append(self._failure(name, value))
            else:
                failures += self._classes.failures(name, self.limits[name])
        return ArtifactRow(
            self.name, figures, self.limits, tuple(failures), tuple(self._pictures), self._classes.ious()
        )

    def _within(self, name: str, value: float) -> bool:
        return FIGURES[name].within(value, self.limits[name])

    def _failure(self, name: str, value: float) -> str:
        figure, limit = FIGURES[name], self.limits[name]
        worst = (min if figure.least else max)(self._pictures, key=lambda row: row.figures[name])
        return (
            f"{figure.words} {figure.text(value)} is {figure.beyond(value, limit)}, {limit:g}; "
            f"worst on {worst.picture}, {figure.text(worst.figures[name])}"
        )
