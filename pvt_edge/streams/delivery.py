"""Results to sinks, each in a thread of its own, so that a slow disk or viewer holds up nobody."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from pvt_edge.errors import PvtEdgeError

if TYPE_CHECKING:
    from pvt_edge.results import Result
    from pvt_edge.sinks import Sink

WAITING_BYTES = 64 << 20  # of pictures that may wait for one sink
LEAST_WAITING, MOST_WAITING = 2, 256
GIVE_UP_S = 2.0  # for a sink that was told to give up, before its thread is left behind
log = logging.getLogger("pvt_edge.streams")


class SinkThread:
    """Feeds one sink and closes it at the end.

    Of a live run the oldest results are dropped when too many wait (`dropped`); a file's run waits for a sink that
    is healthy. After an error the sink is closed, told in `failure` and the log, and gets no more.
    """

    def __init__(self, sink: "Sink", *, live: bool) -> None:
        self.sink, self.live = sink, live
        self.dropped = 0
        self.failure: Exception | None = None
        self._waiting: deque[Result] = deque()
        self._changed = threading.Condition()
        self._deadline: float | None = None  # set once no more results will come
        self._thread = threading.Thread(target=self._run, name=f"pvt-edge sink {sink.target}", daemon=True)
        self._thread.start()

    def put(self, result: "Result") -> None:
        """Leave a result for the sink."""
        room = min(max(WAITING_BYTES // max(1, result.image.nbytes), LEAST_WAITING), MOST_WAITING)
        with self._changed:
            if self.sink.newest_only:
                self._drop_older(result)
            elif not self.live:
                self._changed.wait_for(
                    lambda: self.failure is not None or not self.sink.healthy or len(self._waiting) < room
                )
            if self.failure is not None:
                return
            while len(self._waiting) >= room:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(result)
            self._changed.notify_all()

    def _drop_older(self, result: "Result") -> None:
        """Take out what waits of the same stream: nobody misses it."""
        stream = result.frame.stream
        for other in list(self._waiting):
            if (other.frame.stream.id if other.frame.stream else None) == (stream.id if stream else None):
                self._waiting.remove(other)

    def _run(self) -> None:
        try:
            while self.failure is None and not (self._ended() and (not self._waiting or self._late())):
                self._step()
            with self._changed:
                self.dropped += len(self._waiting)
                self._waiting.clear()
        finally:
            self._try(self.sink.close)

    def _step(self) -> None:
        with self._changed:
            ready = self._changed.wait_for(lambda: self._waiting or self._ended(), timeout=self.sink.idle_every_s)
            result = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
        if result is not None:
            self._try(lambda: self.sink.write(result))
            with self._changed:
                self._changed.notify_all()  # it may be unhealthy now
        elif not ready:
            self._try(self.sink.idle)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (PvtEdgeError, BrokenPipeError) as error:
            self._fail(error)
        except Exception as error:  # a sink's mistake must not end a camera's watch
            self._fail(PvtEdgeError(f"{self.sink.target}: unexpected {type(error).__name__}: {error}"))

    def _fail(self, error: Exception) -> None:
        with self._changed:
            if self.failure is None:
                self.failure = error
                if not isinstance(error, BrokenPipeError):
                    log.error("%s", error)
            self._waiting.clear()
            self._changed.notify_all()

    def _ended(self) -> bool:
        return self._deadline is not None

    def _late(self) -> bool:
        """Whether what still waits is to be dropped: all of a file's run is written to a healthy sink."""
        over = self._deadline is not None and monotonic() > self._deadline
        return over and (self.live or not self.sink.healthy)

    def end(self, within_s: float | None = None) -> None:
        """No more results will come; what waits may take `within_s`, or else the sink's time of grace."""
        with self._changed:
            if within_s is not None:
                self.live, self._deadline = True, monotonic() + within_s
            elif self._deadline is None:
                self._deadline = monotonic() + self.sink.grace_s
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until the sink is closed, or for a sink that hangs until its time is over."""
        while self._thread.is_alive() and not self._late():
            self._thread.join(0.05)
        if self._thread.is_alive():
            self.sink.give_up()
            self._thread.join(GIVE_UP_S)
        if self._thread.is_alive():
            self._fail(PvtEdgeError(f"{self.sink.target} hangs and was left unfinished"))


class Delivery:
    """All sinks of a run. Close it, or use it as a context manager; then all is written and every file finished.

    A sink that fails is logged, and the others go on.
    """

    def __init__(self, sinks: "Sequence[Sink]", *, live: bool) -> None:
        self._threads = [SinkThread(sink, live=live) for sink in sinks]

    def put(self, result: "Result") -> None:
        """Leave a result for every sink. Raises `BrokenPipeError` when who read standard output has gone."""
        for thread in self._threads:
            thread.put(result)
            if isinstance(thread.failure, BrokenPipeError):
                raise thread.failure

    @property
    def useless(self) -> bool:
        """Whether every sink has failed."""
        return bool(self._threads) and all(thread.failure is not None for thread in self._threads)

    @property
    def failures(self) -> list[Exception]:
        """The errors of sinks that stopped."""
        return [thread.failure for thread in self._threads if thread.failure is not None]

    @property
    def failed(self) -> "list[Sink]":
        """The sinks that stopped."""
        return [thread.sink for thread in self._threads if thread.failure is not None]

    @property
    def losses(self) -> dict[str, int]:
        """How many results each sink did not get: it was too slow, or its other end failed."""
        lost = {thread.sink.target: thread.dropped + thread.sink.lost for thread in self._threads}
        return {target: count for target, count in lost.items() if count}

    def close(self, within_s: float | None = None) -> None:
        """Finish every sink, all side by side; a second call does nothing. `within_s` is for those in a hurry."""
        for thread in self._threads:
            thread.end(within_s)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(0.0 if kind is not None and issubclass(kind, KeyboardInterrupt) else None)
