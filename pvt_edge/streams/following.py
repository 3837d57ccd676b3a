"""What a source's results pass through, one after the other: the tracker, lines and zones, then the painter."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.drawing.boxes import PALETTE, style_for
from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.streams.counting import Counting, LineCounter, Points, ZoneCounter

if TYPE_CHECKING:
    from pvt_edge.results import Result
    from pvt_edge.results.fields import Counter
    from pvt_edge.sources import Source

# Focal loss gives lower scores than the detector of ByteTrack's paper (0.6 there): boxes from here on start tracks
# and are matched first, those below only keep a track alive.
SURE_CONF = 0.4
DEFAULT_FPS = 30.0
LONGEST_GAP_S = 3600.0  # between two frames; more, or less than nothing, is a clock that was set
TRACE_S = 2.0  # of its way that is drawn behind an object
HEAT_OPACITY = 0.4
HEAT_SHARE = 16  # of the picture's shorter side: a warm spot's radius is one part of so many
log = logging.getLogger("pvt_edge.streams")


class Tracker:
    """Gives the boxes of one stream's results, in order, their ids from 1; `DataError` for a result without boxes."""

    def __init__(self, fps: float | None, *, live: bool) -> None:
        try:
            import supervision  # noqa: F401 - what the tracker takes and gives
            from trackers import ByteTrackTracker
        except ImportError as error:
            raise RuntimeMissingError(f'tracking needs trackers ({error}): pip install "pvt-edge[track]"') from error
        self._step_s = 1 / (fps or DEFAULT_FPS)
        self._live = live
        self._now_s = 0.0
        self._captured_at: float | None = None
        self._tracks = ByteTrackTracker(
            frame_rate=fps or DEFAULT_FPS, track_activation_threshold=SURE_CONF, high_conf_det_threshold=SURE_CONF
        )

    def follow(self, result: "Result") -> "Result":
        """The result with `boxes.id` set."""
        from supervision import Detections

        boxes = result.boxes
        if boxes is None:
            raise DataError("only a detector's boxes can be tracked; this bundle gives none")
        found = Detections(
            xyxy=boxes.xyxy.astype(np.float64),
            confidence=boxes.conf,
            class_id=boxes.cls.astype(int),
            data={"row": np.arange(len(boxes))},  # the tracker gives them back in another order
        )
        tracked = self._tracks.update(found, timestamp=self._tell_time(result.frame.captured_at, result.frame.video_s))
        ids = np.full(len(boxes), -1, np.int64)
        if len(tracked):
            ids[tracked.data["row"]] = np.where(tracked.tracker_id < 0, -1, tracked.tracker_id + 1)
        return replace(result, boxes=replace(boxes, id=ids))

    def _tell_time(self, captured_at: float, video_s: float | None) -> float:
        """Seconds of the stream's own time: a video's, else for files evenly spaced, however fast they are read."""
        if video_s is not None:
            self._now_s = max(self._now_s, video_s + self._step_s)
            return self._now_s
        gap_s = captured_at - self._captured_at if self._captured_at is not None else 0.0
        self._captured_at = captured_at
        self._now_s += gap_s if self._live and 0 < gap_s < LONGEST_GAP_S else self._step_s
        return self._now_s


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


def follower(
    *,
    lines: Sequence[Points] = (),
    zones: Sequence[Points] = (),
    track: bool = True,
    heat_map: bool = False,
    trace: bool = False,
) -> "Callable[[Source], Callable[[Result], Result]]":
    """Makes for a source the function that gives its results ids, counts on these lines and zones in pixels, and
    draws a heat map and the ways of objects below its boxes. Without `track` there are neither ids nor what needs them.

    `DataError` for points that make no line or zone, `RuntimeMissingError` without trackers or supervision.
    """

    def follow_source(source: "Source") -> "Callable[[Result], Result]":
        tracker = Tracker(source.fps, live=source.live) if track or trace or lines or zones else None
        painter = Painter(source.fps, heat_map=heat_map, trace=trace) if heat_map or trace else None
        counters: list[Counting] = [LineCounter(f"line {i}", points) for i, points in enumerate(lines, 1)]
        counters += [ZoneCounter(f"zone {i}", points) for i, points in enumerate(zones, 1)]

        seen_hw: set[tuple[int, int]] = set()

        def follow(result: "Result") -> "Result":
            followed = tracker.follow(result) if tracker is not None else result
            if followed.boxes is not None and counters:
                counts = tuple(counter.update(followed.boxes) for counter in counters)
                if result.orig_hw not in seen_hw:
                    seen_hw.add(result.orig_hw)
                    _warn_outside(source.name, counts, result.orig_hw)
                followed = replace(followed, counters=counts)
            return painter.follow(followed) if painter is not None else followed

        return follow

    return follow_source


def _warn_outside(name: str, counters: "Sequence[Counter]", hw: tuple[int, int]) -> None:
    """Tell of lines and zones that lie outside a picture of this size, where nothing will ever be counted."""
    for counter in counters:
        xy = np.array(counter.points)
        if (xy.min(axis=0) >= (hw[1], hw[0])).any() or (xy.max(axis=0) < 0).any():
            log.warning("%s: %s lies outside the picture of %dx%d pixels", name, counter.name, hw[1], hw[0])
