"""One thread a source: reads, prepares, notices when the source dies or freezes, and connects again."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, PvtEdgeError
from pvt_edge.sources import Frame, LiveSource, Source
from pvt_edge.streams.inbox import Box, Inbox
from pvt_edge.streams.status import ENDED, FAILED, LOST, RUNNING, StreamRecord

Prepared = TypeVar("Prepared")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0  # between attempts to connect
PEEK_S = 0.5  # from one cheap look for the source to the next, while an attempt to connect is waited for
SAMPLE_STEP = 8  # pixels from one that is compared to the next: what moves is larger
SAME_SCENE = 3.0  # mean grey levels between two encodings of one scene
STALE_MS = 1000.0  # of an open source's first frame: it, and what waits behind it, is no longer the present
log = logging.getLogger("pvt_edge.streams")


class Backoff:
    """Waits of 0.5, 1, 2 ... 10 s, each shortened by chance by up to half, so that many cameras behind one switch
    do not all come back in the same instant. A source that then holds as long as its last wait starts anew.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._next_s = FIRST_WAIT_S
        self.last_s = 0.0

    def wait_s(self) -> float:
        """Seconds to wait now."""
        self.last_s = self._next_s * self._rng.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, LONGEST_WAIT_S)
        return self.last_s

    def peek_s(self) -> float:
        """Seconds until a cheap look whether the source is there."""
        return PEEK_S * self._rng.uniform(0.5, 1.0)

    def connected_for(self, seconds: float) -> None:
        """The source has given frames for so long."""
        if seconds >= self.last_s:
            self.restart()

    def restart(self) -> None:
        """What made the last attempts fail is over."""
        self._next_s, self.last_s = FIRST_WAIT_S, 0.0


class StillWatch:
    """Notices pictures that are identical for `after_s`: sensors are never without noise.

    Some scenes are: a screen, a dark room behind a strong encoder. So a source is called frozen once, and not again
    for the same picture, should it still show it after it was opened anew. Once its pictures have differed from one
    to the next for `after_s` it is known to be alive, and may freeze again.
    """

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self._last: NDArray[np.uint8] | None = None
        self._still_since = self._moving_since = 0.0
        self._known: NDArray[np.uint8] | None = None

    def frozen(self, image: NDArray[np.uint8], now: float | None = None) -> bool:
        """Whether this picture (H, W, 3) is the same since `after_s` and not known to be still."""
        now = monotonic() if now is None else now
        sample = image[::SAMPLE_STEP, ::SAMPLE_STEP].copy()
        same = self._last is not None and np.array_equal(sample, self._last)
        if self._last is None or same:
            self._moving_since = now
        if not same:
            self._last, self._still_since = sample, now
            if self._known is not None and (
                now - self._moving_since >= self.after_s or not _alike(sample, self._known)
            ):
                self._known = None
            return False
        if now - self._still_since < self.after_s or self._known is not None:
            return False
        self._known, self._last = sample, None
        return True


def _alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(np.int16) - b).mean()) < SAME_SCENE


class Reader(Generic[Prepared]):
    """Reads `source` into `box` until it ends or `stop`. `prepare` runs in this thread, beside the model.

    Frames of a live source are numbered through, over drops and reconnects; none is made up or given twice.
    `error` is what ended a file early.
    """

    def __init__(
        self,
        source: Source,
        record: StreamRecord,
        inbox: Inbox[tuple[StreamRecord, Prepared]],
        prepare: Callable[[Frame], Prepared],
        *,
        depth: int,
    ) -> None:
        self.source, self.record = source, record
        self.error: Exception | None = None
        self._inbox, self._prepare = inbox, prepare
        self._box: Box[tuple[StreamRecord, Prepared]] = inbox.add(live=source.live, depth=depth, on_drop=record.drop)
        self._stop = threading.Event()
        self._next_id = 0
        self._counted = (0, 0)  # of the source's decode errors and frames passed over
        self._lost_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"pvt-edge reader {record.id}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, without waiting for it."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended within the time; a source that is just being read is waited for."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if isinstance(self.source, LiveSource) and self.source.live:
                self._follow(self.source)
            else:
                self._read_through()
        except Exception as error:  # handed to the thread that runs the model
            self.error = error
            self.record.enter(FAILED, str(error))
        else:
            if self._lost_at is None:  # else it is still lost, and the summary says so
                self.record.enter(ENDED)
        finally:
            self._inbox.end(self._box)

    def _read_through(self) -> None:
        for frame in self.source:
            if self._stop.is_set():
                return
            self._count_losses(self.source)
            self.record.enter(RUNNING)
            self._inbox.put(self._box, (self.record, self._prepare(frame)))
        self._count_losses(self.source)

    def _follow(self, source: LiveSource) -> None:
        backoff, still = Backoff(), StillWatch(source.options.stall_s)
        if source.connected and (frame := source.read()) is not None:
            if frame.age_ms > STALE_MS:  # a model was loaded meanwhile
                source.disconnect()
            else:
                self._give(frame)
        while not self._stop.is_set() and not source.ended:
            if not source.connected and not self._connect(source, backoff):
                continue
            if not source.live:  # a file on a web server that was away at the start
                self._box.live = self.record.live = False
                self._tell_back(source)
                self._read_through()
                return
            since = monotonic()
            reason = self._read_until_lost(source, still)
            backoff.connected_for(monotonic() - since)
            source.disconnect()
            if reason is None:
                return
            self._lose(f"{source.name}: {reason}")
            self._wait(source, backoff)

    def _connect(self, source: LiveSource, backoff: Backoff) -> bool:
        try:
            source.connect()
        except PvtEdgeError as error:
            self._lose(str(error))
            self._wait(source, backoff)
            return False
        return True

    def _wait(self, source: LiveSource, backoff: Backoff) -> None:
        """Wait for the next attempt, or until the source shows that it is back."""
        wait_s = backoff.wait_s()
        log.debug("%s: next attempt within %.2f s", source.name, wait_s)
        until = monotonic() + wait_s
        while (left_s := until - monotonic()) > 0 and not self._stop.wait(min(left_s, backoff.peek_s())):
            if source.is_back():
                backoff.restart()
                return

    def _read_until_lost(self, source: LiveSource, still: StillWatch) -> str | None:
        """Why the source was lost; None when it ended or we were asked to stop."""
        while not self._stop.is_set():
            began = monotonic()
            frame = source.read()
            self._count_losses(source)
            if frame is None:
                waited = monotonic() - began
                if source.ended or self._stop.is_set():
                    return None
                slow = waited >= 0.8 * source.options.stall_s
                return f"no frame for {waited:.1f} s" if slow else "the stream broke off"
            self._tell_back(source)
            self._give(frame)
            if still.frozen(frame.image):
                return f"the picture has not changed in {still.after_s:g} s"
        return None

    def _tell_back(self, source: LiveSource) -> None:
        if self._lost_at is None:
            return
        log.warning("%s: back after %.1f s", source.name, monotonic() - self._lost_at)
        self._lost_at = None
        if self._next_id:  # a source that was not there at the start only comes late
            self.record.reconnect()

    def _count_losses(self, source: Source) -> None:
        decode_errors, passed_over = source.decode_errors, source.passed_over
        self.record.decode_error(decode_errors - self._counted[0])
        self.record.drop(passed_over - self._counted[1])
        self._next_id += passed_over - self._counted[1]
        self._counted = decode_errors, passed_over

    def _give(self, frame: Frame) -> None:
        self.record.enter(RUNNING)
        frame = replace(frame, id=self._next_id)
        self._next_id += 1
        try:
            prepared = self._prepare(frame)
        except DataError:  # no picture that can be resized
            self.record.decode_error()
        else:
            self._inbox.put(self._box, (self.record, prepared))

    def _lose(self, reason: str) -> None:
        self._lost_at = self._lost_at or monotonic()
        before = self.record.status()
        if before.state != LOST or before.reason != reason:  # once, not at every attempt
            log.warning("%s; trying again until it is back", reason)
        self.record.enter(LOST, reason)
