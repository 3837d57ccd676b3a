"""Where readers leave frames and the model's thread finds them."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(eq=False)
class Box(Generic[Item]):
    """One stream's frames, `depth` at most: the newest alone of a live one, all of a file, in order."""

    live: bool
    depth: int
    on_drop: Callable[[int], None]
    items: deque[Item] = field(default_factory=deque)
    ended: bool = False


class Inbox(Generic[Item]):
    """The boxes of all streams, emptied in turn, so that no stream waits for another's second frame."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._boxes: list[Box[Item]] = []
        self._turn = 0
        self.closed = False

    def add(self, *, live: bool, depth: int, on_drop: Callable[[int], None]) -> Box[Item]:
        """A new stream's box; `on_drop` is told how many frames a newer one replaced."""
        box: Box[Item] = Box(live, depth, on_drop)
        self._boxes.append(box)
        return box

    def put(self, box: Box[Item], item: Item) -> None:
        """Leave a frame: at once for a live stream, when there is room for a file. Nothing after `close`."""
        with self._changed:
            if box.live:
                if box.items:
                    box.on_drop(len(box.items))
                    box.items.clear()
            else:
                self._changed.wait_for(lambda: self.closed or len(box.items) < box.depth)
            if not self.closed:
                box.items.append(item)
                self._changed.notify_all()

    def end(self, box: Box[Item]) -> None:
        """No frame will follow."""
        with self._changed:
            box.ended = True
            self._changed.notify_all()

    def take(self, most: int, *, fill: bool = False) -> list[Item]:
        """Up to `most` frames, at least one, waited for; none when all streams have ended or after `close`.

        One frame of each stream in turn, from the one after the last served, and round again while there are
        any. `fill` waits for `most` as long as a stream goes on.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._enough(most if fill else 1))
            if self.closed:
                return []
            taken: list[Item] = []
            idle = 0
            while len(taken) < most and idle < len(self._boxes):
                box = self._boxes[self._turn]
                self._turn = (self._turn + 1) % len(self._boxes)
                idle = 0 if box.items else idle + 1
                if box.items:
                    taken.append(box.items.popleft())
            self._changed.notify_all()
            return taken

    def _enough(self, wanted: int) -> bool:
        there = sum(len(box.items) for box in self._boxes)
        return self.closed or there >= wanted or all(box.ended for box in self._boxes)

    def close(self) -> None:
        """Wake up and send home everyone who waits; what is in the boxes is lost."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
