"""Results to sinks, each in a thread of its own, so that a slow disk or viewer holds up nobody."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from pvt_edge.errors import PvtEdgeError

if TYPE_CHECKING:
    from pvt_edge.results import Result
    from pvt_edge.sinks import Sink

WAITING_BYTES = 64 << 20  # of pictures that may wait for one sink
LEAST_WAITING, MOST_WAITING = 2, 256
log = logging.getLogger("pvt_edge.streams")


class SinkThread:
    """Feeds one sink. Of a live stream the oldest results are dropped when too many wait (`dropped`), of files
    `put` waits. After an error the sink is closed, told in `failure`, and gets no more.
    """

    def __init__(self, sink: "Sink", *, live: bool) -> None:
        self.sink, self.live = sink, live
        self.dropped = 0
        self.failure: PvtEdgeError | None = None
        self._waiting: deque[Result] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"pvt-edge sink {sink.target}", daemon=True)
        self._thread.start()

    def put(self, result: "Result") -> None:
        """Leave a result for the sink; raises the sink's error where the source is a file, which can be run again."""
        room = min(max(WAITING_BYTES // max(1, result.image.nbytes), LEAST_WAITING), MOST_WAITING)
        if self.sink.newest_only:
            self._show(result)
            return
        with self._changed:
            if not self.live:
                self._changed.wait_for(lambda: self.failure is not None or len(self._waiting) < room)
                if self.failure is not None:
                    raise self.failure
            elif self.failure is not None:
                return
            while len(self._waiting) >= room:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(result)
            self._changed.notify_all()

    def _show(self, result: "Result") -> None:
        """Leave a result in place of its stream's one that waits."""
        stream = result.frame.stream
        with self._changed:
            for place, other in enumerate(self._waiting):
                if other.frame.stream is stream or (
                    stream and other.frame.stream and other.frame.stream.id == stream.id
                ):
                    self._waiting[place] = result
                    return
            if self.failure is None:
                self._waiting.append(result)
                self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting or (self._deadline is not None and monotonic() > self._deadline):
                    self.dropped += len(self._waiting)
                    break
                result = self._waiting.popleft()
                self._changed.notify_all()
            try:
                self.sink.write(result)
            except PvtEdgeError as error:
                self._fail(error)
                break
            except Exception as error:  # a sink's mistake must not end a camera's watch
                self._fail(PvtEdgeError(f"{self.sink.target}: unexpected {type(error).__name__}: {error}"))
                break
        try:
            self.sink.close()
        except PvtEdgeError as error:
            self._fail(error)

    def _fail(self, error: PvtEdgeError) -> None:
        with self._changed:
            if self.failure is None:
                self.failure = error
                if self.live:
                    log.error("%s; the other outputs go on", error)
            self._waiting.clear()
            self._changed.notify_all()

    def finish(self) -> None:
        """Have everything that waits written, within the sink's time of grace, and the sink closed."""
        grace_s = self.sink.grace_s
        with self._changed:
            if not self._ended and grace_s is not None:
                self._deadline = monotonic() + grace_s
            self._ended = True
            self._changed.notify_all()
        self._thread.join(None if grace_s is None else 2 * grace_s)


class Delivery:
    """All sinks of a run. Close it, or use it as a context manager; then all is written and every file finished."""

    def __init__(self, sinks: "Sequence[Sink]", *, live: bool) -> None:
        self._threads = [SinkThread(sink, live=live) for sink in sinks]

    def put(self, result: "Result") -> None:
        """Leave a result for every sink."""
        for thread in self._threads:
            thread.put(result)

    @property
    def failures(self) -> list[PvtEdgeError]:
        """The errors of sinks that stopped."""
        return [thread.failure for thread in self._threads if thread.failure is not None]

    @property
    def dropped(self) -> dict[str, int]:
        """How many results each sink that was too slow did not get."""
        return {thread.sink.target: thread.dropped for thread in self._threads if thread.dropped}

    def close(self) -> None:
        """Finish every sink; a second call does nothing."""
        for thread in self._threads:
            thread.finish()

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
