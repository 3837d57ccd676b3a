"""Tracked objects counted: in all, across lines and in zones."""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.results.fields import Counter

if TYPE_CHECKING:
    from pvt_edge.results import Result
    from pvt_edge.results.fields import Boxes

Points = Sequence[tuple[int, int]]
Value = TypeVar("Value")
SLACK = 0.05  # of a box's shorter side: nearer to a line its centre is on neither side, or trembling would count
FORGET = 1000  # updates after which an object that was not seen again is forgotten: trackers give it up sooner


class Counting(Protocol):
    """Takes every frame's tracked boxes of one stream, and says what it has counted."""

    def update(self, boxes: "Boxes") -> Counter: ...


class LineCounter:
    """Counts whose centre crosses the line from the first point to the second: "in" from its left to its right
    for someone who walks it, "out" the other way. For a line drawn from left to right, in is downwards.

    An object counts where the way from its last place to the present one meets the line, however long it was hidden
    between them, and once it is clear of the line.
    """

    def __init__(self, name: str, points: Points) -> None:
        if len(points) != 2 or points[0] == points[1]:
            raise DataError(f"{name} needs two different points x1,y1,x2,y2, not {_text(points)}")
        self._name, self._points = name, tuple(points)
        self._ends = np.array(points, np.float64)  # (2, 2) xy
        self._seen: _Memory[NDArray[np.float64]] = _Memory()
        self._in = self._out = 0

    def update(self, boxes: "Boxes") -> Counter:
        start, end = self._ends
        length = float(np.hypot(*(end - start)))
        for track, centre, side in _tracked(boxes):
            if abs(_cross(start, end, centre)) < SLACK * side * length:
                continue
            before = self._seen.get(track)
            if before is not None and self._meets(before, centre):
                if _cross(start, end, centre) > 0:  # y points down: the right hand's side
                    self._in += 1
                else:
                    self._out += 1
            self._seen.put(track, centre)
        self._seen.end_update()
        return Counter(self._name, self._points, {"in": self._in, "out": self._out})

    def _meets(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
        start, end = self._ends
        apart = _cross(start, end, a) * _cross(start, end, b) < 0
        return apart and _cross(a, b, start) * _cross(a, b, end) <= 0


class ZoneCounter:
    """Counts whose centre is inside a polygon, and how many ever entered."""

    def __init__(self, name: str, points: Points) -> None:
        if len(set(points)) < 3:
            raise DataError(f"{name} needs three different points or more, x1,y1,x2,y2,x3,y3 ..., not {_text(points)}")
        if np.linalg.matrix_rank(np.subtract(points, points[0])) < 2:
            raise DataError(f"{name} has no inside: its points {_text(points)} lie on one line")
        self._name, self._points = name, tuple(points)
        self._polygon = np.array(points, np.float32)
        self._inside: _Memory[bool] = _Memory()
        self._entered = 0

    def update(self, boxes: "Boxes") -> Counter:
        import cv2

        now = 0
        for track, centre, side in _tracked(boxes):
            depth = cv2.pointPolygonTest(self._polygon, (float(centre[0]), float(centre[1])), True)
            before = self._inside.get(track)
            inside = depth >= 0 if before is None or abs(depth) >= SLACK * side else before
            now += inside
            self._entered += inside and not before  # one that was only hidden for a moment has not left
            self._inside.put(track, inside)
        self._inside.end_update()
        return Counter(self._name, self._points, {"inside": now, "entered": self._entered})


class ObjectCounter:
    """Counts the tracked objects of all streams, each once, as of the class that its boxes had most often."""

    def __init__(self) -> None:
        self._boxes: dict[tuple[int, int], tuple[int, Tally[str]]] = {}  # of (stream, track), with its latest update
        self._updates: Tally[int] = Tally()  # of each stream
        self._gone: Tally[str] = Tally()

    def add(self, result: "Result") -> None:
        """Count the boxes of one result whose track is sure."""
        boxes, info = result.boxes, result.frame.stream
        if boxes is None or boxes.id is None:
            return
        stream = info.id if info is not None else 0
        self._updates[stream] += 1
        now = self._updates[stream]
        for track, name in zip(boxes.id.tolist(), result.found_names(), strict=True):
            if track >= 0:
                _, names = self._boxes.get((stream, track), (0, Tally[str]()))
                names[name] += 1
                self._boxes[stream, track] = now, names
        if now % FORGET == 0:
            self._settle(stream, now - FORGET)

    def _settle(self, stream: int, before: int) -> None:
        """Forget the tracks that were last seen that long ago, but not that they were: a camera runs for weeks."""
        old = [key for key, (seen, _) in self._boxes.items() if key[0] == stream and seen <= before]
        self._gone.update(_commonest(self._boxes.pop(key)[1]) for key in old)

    def counts(self) -> "Tally[str]":
        """How many objects there were so far, by class."""
        return self._gone + Tally(_commonest(names) for _, names in self._boxes.values())


def _commonest(names: "Tally[str]") -> str:
    return names.most_common(1)[0][0]


class _Memory(Generic[Value]):
    """What was last seen of each track; those long unseen are forgotten, as a camera runs for weeks."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, Value]] = {}  # with the update in which it was
        self._update = 0

    def get(self, track: int) -> Value | None:
        return self._seen[track][1] if track in self._seen else None

    def put(self, track: int, value: Value) -> None:
        self._seen[track] = (self._update, value)

    def end_update(self) -> None:
        self._update += 1
        if self._update % FORGET == 0:
            self._seen = {track: (at, value) for track, (at, value) in self._seen.items() if at > self._update - FORGET}


def _tracked(boxes: "Boxes") -> Iterator[tuple[int, NDArray[np.float64], float]]:
    """(track, centre xy, shorter side) of the boxes whose track is sure."""
    if boxes.id is None:
        return
    xyxy = boxes.xyxy.astype(np.float64)
    centres = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    sides = (xyxy[:, 2:] - xyxy[:, :2]).min(axis=1, initial=np.inf)
    for track, centre, side in zip(boxes.id.tolist(), centres, sides.tolist(), strict=True):
        if track >= 0:
            yield track, centre, side


def _cross(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    """Twice the area of the triangle a, b, c; positive where c is right of the way from a to b (y points down)."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _text(points: Points) -> str:
    return ",".join(str(value) for point in points for value in point) or "nothing"
