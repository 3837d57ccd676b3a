"""What a source's results pass through, one after the other: the tracker, lines and zones, then the painter."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.streams.counting import Counting, LineCounter, Points, ZoneCounter
from pvt_edge.streams.painting import Painter
from pvt_edge.streams.tracking import Tracker

if TYPE_CHECKING:
    from pvt_edge.results import Result
    from pvt_edge.results.frame_info import Counter
    from pvt_edge.sources import Source

log = logging.getLogger("pvt_edge.streams")


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
