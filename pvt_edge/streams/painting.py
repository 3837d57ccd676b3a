"""What a stream's pictures show of the frames before: where objects were, and the ways that they took."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pvt_edge.drawing.boxes import PALETTE, style_for
from pvt_edge.errors import DataError, RuntimeMissingError

if TYPE_CHECKING:
    from pvt_edge.results import Result

DEFAULT_FPS = 30.0
TRACE_S = 2.0  # of its way that is drawn behind an object
HEAT_OPACITY = 0.4
HEAT_SHARE = 16  # of the picture's shorter side: a warm spot's radius is one part of so many


class Painter:
    """Draws a heat map, the ways of tracked objects, or both, below the boxes of one stream's results, in order.

    Raises `RuntimeMissingError` without supervision, which draws them.
    """

    def __init__(self, fps: float | None, *, heat_map: bool, trace: bool) -> None:
        try:
            import supervision  # noqa: F401 - or its want would be told at the first frame
        except ImportError as error:
            raise RuntimeMissingError(
                f'heat maps and traces need supervision ({error}): pip install "pvt-edge[supervision]"'
            ) from error
        self._frames = max(2, round(TRACE_S * (fps or DEFAULT_FPS)))
        self._heat_map, self._trace = heat_map, trace
        self._hw: tuple[int, int] | None = None
        self._annotators: list[Any] = []

    def follow(self, result: "Result") -> "Result":
        """The result with `canvas` set; `DataError` for one without boxes."""
        if result.boxes is None:
            raise DataError("heat maps and traces are of a detector's boxes; this bundle gives none")
        if result.orig_hw != self._hw:  # at the start, and where a camera changes its size
            self._hw, self._annotators = result.orig_hw, self._begin(result.orig_hw)
        sure = result if result.boxes.id is None else replace(result, boxes=result.boxes[result.boxes.id >= 0])
        canvas = result.image.copy()
        for annotator, wants_tracks in self._annotators:
            canvas = annotator.annotate(canvas, (sure if wants_tracks else result).to_supervision())
        return replace(result, canvas=canvas)

    def _begin(self, hw: tuple[int, int]) -> list[tuple[Any, bool]]:
        """The annotators for pictures of this size, and whether each takes only boxes whose track is sure."""
        from supervision import Color, ColorPalette, HeatMapAnnotator, Position, TraceAnnotator

        annotators: list[tuple[Any, bool]] = []
        if self._heat_map:
            radius = max(4, min(hw) // HEAT_SHARE)
            annotators.append((HeatMapAnnotator(Position.CENTER, HEAT_OPACITY, radius, kernel_size=radius), False))
        if self._trace:
            colours = ColorPalette([Color(red, green, blue) for blue, green, red in PALETTE])
            thickness = style_for(hw).line
            annotators.append((TraceAnnotator(colours, Position.CENTER, self._frames, thickness), True))
        return annotators
