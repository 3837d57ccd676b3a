"""One thread a source: reads, prepares, notices when the source dies, and connects again."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Generic, TypeVar

from pvt_edge.errors import DataError, PvtEdgeError
from pvt_edge.sources import Frame, LiveSource, Source
from pvt_edge.streams.backoff import Backoff
from pvt_edge.streams.inbox import Box, Inbox
from pvt_edge.streams.status import ENDED, FAILED, LOST, RUNNING, StreamRecord
from pvt_edge.streams.still import StillWatch

Prepared = TypeVar("Prepared")
STALE_MS = 1000.0  # of an open source's first frame: it, and what waits behind it, is no longer the present
log = logging.getLogger("pvt_edge.streams")


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
            if isinstance(self.source, LiveSource):  # a file on a web server
                self._count_losses(self.source)
            self.record.enter(RUNNING)
            self._inbox.put(self._box, (self.record, self._prepare(frame)))

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
            backoff.held(monotonic() - since)
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

    def _count_losses(self, source: LiveSource) -> None:
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
