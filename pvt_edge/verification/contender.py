"""An artifact under comparison: its differences picture by picture, and what of them is outside tolerance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pvt_edge.comparison.difference import Difference, Tally, ratio
from pvt_edge.comparison.figure import FIGURES
from pvt_edge.errors import PvtEdgeError
from pvt_edge.tasks import get_task
from pvt_edge.verification.classes import ClassTallies
from pvt_edge.verification.comparing import compare
from pvt_edge.verification.report import ArtifactRow, PictureRow
from pvt_edge.verification.side import Side, in_input_pixels

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec
    from pvt_edge.pictures.resizing import Placement
    from pvt_edge.predictor.prepared import Prepared

    Arrays = Mapping[str, NDArray[Any]]


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
