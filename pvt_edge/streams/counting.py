"""Lines that tracked objects cross and zones they are in, counted by supervision."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pvt_edge.errors import DataError
from pvt_edge.results import Counter

if TYPE_CHECKING:
    from supervision import Detections

Points = Sequence[tuple[int, int]]


class Counting(Protocol):
    """Takes every frame's tracked detections of one stream, and says what it has counted."""

    def update(self, tracked: "Detections") -> Counter: ...


class LineCounter:
    """Counts whose centre crosses the line from the first point to the second: "in" from its left to its right
    for someone who walks it, "out" the other way. For a line drawn from left to right, in is downwards.
    """

    def __init__(self, name: str, points: Points) -> None:
        from supervision import LineZone, Point, Position

        if len(points) != 2 or points[0] == points[1]:
            raise DataError(f"{name} needs two different points x1,y1,x2,y2, not {_text(points)}")
        self._name, self._points = name, tuple(points)
        start, end = (Point(*point) for point in points)
        self._zone = LineZone(start=start, end=end, triggering_anchors=(Position.CENTER,))

    def update(self, tracked: "Detections") -> Counter:
        self._zone.trigger(tracked)
        counts = {"in": int(self._zone.in_count), "out": int(self._zone.out_count)}
        return Counter(self._name, self._points, counts)


class ZoneCounter:
    """Counts whose centre is inside a polygon, and how many ever entered."""

    def __init__(self, name: str, points: Points) -> None:
        from supervision import PolygonZone, Position

        if len(set(points)) < 3:
            raise DataError(f"{name} needs three different points or more, x1,y1,x2,y2,x3,y3 ..., not {_text(points)}")
        self._name, self._points = name, tuple(points)
        self._zone = PolygonZone(polygon=np.array(points), triggering_anchors=(Position.CENTER,))
        self._inside: set[int] = set()
        self._entered = 0

    def update(self, tracked: "Detections") -> Counter:
        ids = tracked.tracker_id if tracked.tracker_id is not None else np.zeros(0, int)
        inside = set(ids[self._zone.trigger(tracked)].tolist())
        self._entered += len(inside - self._inside)
        # one that is only hidden for a moment has not left
        self._inside = inside | (self._inside - set(ids.tolist()))
        return Counter(self._name, self._points, {"inside": len(inside), "entered": self._entered})


def _text(points: Points) -> str:
    return ",".join(str(value) for point in points for value in point) or "nothing"
