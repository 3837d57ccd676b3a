"""The worst pictures on one sheet: reference and artifact side by side, with what differs marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvt_edge.comparison.difference import FIGURES, times
from pvt_edge.comparison.panels import GREY, INK, PANEL_HW, PAPER, RED, broken_panels, shorten, text_width, write
from pvt_edge.tasks import get_task
from pvt_edge.tasks.task import Shown
from pvt_edge.variants import title_of

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Manifest
    from pvt_edge.comparison.difference import Arrays, Difference

WORST = 10  # pictures that are kept
COLUMNS = 2  # of pairs
GAP, MARGIN, CAPTION, HEAD = 4, 24, 26, 88  # pixels
SPACE = 16  # between figures


@dataclass(frozen=True)
class Entry:
    """A picture's two panels and what is written under them."""

    severity: float
    picture: str
    artifact: str
    figures: Mapping[str, float]
    limits: Mapping[str, float]
    panels: tuple[NDArray[np.uint8], NDArray[np.uint8]]


class ContactSheet:
    """Keeps the worst of the pictures offered, each with its worst artifact; of equals those offered first."""

    def __init__(self, manifest: "Manifest", reference: str, count: int = WORST) -> None:
        self.manifest, self.reference, self.count = manifest, reference, count
        self._entries: list[Entry] = []

    def offer(
        self,
        picture: str,
        image: NDArray[np.uint8],
        scale_xy: tuple[float, float],
        artifact: str,
        difference: "Difference",
        limits: Mapping[str, float],
        answers: "tuple[Arrays, Arrays]",
    ) -> None:
        """Keep the picture if it is among the worst; `answers` are the artifact's and the reference's."""
        severity = difference.severity(limits)
        if len(self._entries) == self.count and severity <= self._entries[-1].severity:
            return
        panels = self._panels(image, scale_xy, difference, limits, answers)
        figures = {name: difference.value(name) for name in limits}
        self._entries.append(Entry(severity, picture, artifact, figures, limits, panels))
        self._entries.sort(key=lambda entry: -entry.severity)  # stable
        del self._entries[self.count :]

    def picture(self, compared: int) -> NDArray[np.uint8] | None:
        """The sheet (H, W, 3) uint8 BGR; None where nothing was offered. `compared` is the number of pictures."""
        if not self._entries:
            return None
        columns = min(COLUMNS, len(self._entries))
        rows = -(-len(self._entries) // columns)
        pair_w, pair_h = 2 * PANEL_HW[1] + GAP, PANEL_HW[0] + 2 * CAPTION
        width = max(MARGIN + columns * (pair_w + MARGIN), 2 * (MARGIN + pair_w))
        sheet = np.full((HEAD + rows * (pair_h + MARGIN), width, 3), PAPER, np.uint8)
        self._head(sheet, compared)
        for number, entry in enumerate(self._entries):
            left = MARGIN + number % columns * (pair_w + MARGIN)
            top = HEAD + number // columns * (pair_h + MARGIN)
            _pair(sheet[top : top + pair_h, left : left + pair_w], entry)
        return sheet

    def _panels(
        self,
        image: NDArray[np.uint8],
        scale_xy: tuple[float, float],
        difference: "Difference",
        limits: Mapping[str, float],
        answers: "tuple[Arrays, Arrays]",
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if not difference.finite:
            return broken_panels(image, difference.broken, difference.broken_reference)
        return get_task(self.manifest.task).panels(Shown(image, scale_xy, difference, limits, *answers, self.manifest))

    def _head(self, sheet: NDArray[np.uint8], compared: int) -> None:
        shown = len(self._entries)
        which = (
            f"The worst {shown} of {compared} pictures" if shown < compared else f"All {compared} pictures, worst first"
        )
        name = f"{title_of(self.manifest.variant)}, {self.manifest.task}"
        write(sheet, f"{which}: {name}", (MARGIN, 38), title=True)
        at = write(sheet, f"left {self.reference}, the reference; right the artifact.  ", (MARGIN, 68), GREY)
        legend = get_task(self.manifest.task).legend
        if isinstance(legend, str):
            write(sheet, legend, (at, 68), GREY)
            return
        for colour, text, line in legend:
            at = _chip(sheet, at, colour, text, line)


def _chip(sheet: NDArray[np.uint8], at: int, colour: tuple[int, int, int], text: str, line: int) -> int:
    """The x after a small box in that colour and what it means."""
    import cv2

    cv2.rectangle(sheet, (at, 56), (at + 16, 70), colour, line)
    return write(sheet, text, (at + 22, 68), GREY) + 18


def _pair(area: NDArray[np.uint8], entry: Entry) -> None:
    """Names above, panels, figures below; red those beyond their limit."""
    width = PANEL_HW[1]
    write(area, shorten(entry.picture, width), (0, CAPTION - 8))
    write(area, shorten(entry.artifact, width), (width + GAP, CAPTION - 8))
    for panel, left in zip(entry.panels, (0, width + GAP), strict=True):
        area[CAPTION : CAPTION + PANEL_HW[0], left : left + width] = panel
    at, base = width + GAP, CAPTION + PANEL_HW[0] + 18
    # of no numbers there is no distance
    shown = [name for name in entry.figures if entry.severity < float("inf") or FIGURES[name].least]
    texts = [f"{FIGURES[name].words} {FIGURES[name].text(entry.figures[name])}" for name in shown]
    if sum(text_width(text) + SPACE for text in texts) > width:
        texts = [f"{FIGURES[name].short} {FIGURES[name].text(entry.figures[name])}" for name in shown]
    for name, text in zip(shown, texts, strict=True):
        inside = FIGURES[name].within(entry.figures[name], entry.limits[name])
        at = write(area, text, (at, base), INK if inside else RED) + SPACE
    used = "no numbers" if entry.severity == float("inf") else f"{times(entry.severity)} the limit, alone"
    write(area, used, (0, base), INK if entry.severity <= 1 else RED)
