"""What a source's results pass through, one after the other: the tracker, then lines and zones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pvt_edge.streams.counting import Counting, LineCounter, Points, ZoneCounter
from pvt_edge.streams.tracking import Tracker

if TYPE_CHECKING:
    from pvt_edge.results import Result
    from pvt_edge.sources import Source


def follower(
    *, lines: Sequence[Points] = (), zones: Sequence[Points] = ()
) -> "Callable[[Source], Callable[[Result], Result]]":
    """Makes for a source the function that gives its results ids, and counts on these lines and zones in pixels.

    `DataError` for points that make no line or zone, `RuntimeMissingError` without trackers.
    """

    def follow_source(source: "Source") -> "Callable[[Result], Result]":
        tracker = Tracker(source.fps, live=source.live)
        counters: list[Counting] = [LineCounter(f"line {i}", points) for i, points in enumerate(lines, 1)]
        counters += [ZoneCounter(f"zone {i}", points) for i, points in enumerate(zones, 1)]

        def follow(result: "Result") -> "Result":
            tracked = tracker.follow(result)
            if not counters:
                return tracked
            found = tracked.to_supervision()
            sure = found[found.tracker_id >= 0] if len(found) else found
            return replace(tracked, counters=tuple(counter.update(sure) for counter in counters))

        return follow

    return follow_source
