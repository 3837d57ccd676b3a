"""Readers at work for tests, and a source that does what it is told."""

import threading
import time

import numpy as np

from pvt_edge.errors import DataError
from pvt_edge.sources import Frame, LiveSource, SourceOptions
from pvt_edge.streams.inbox import Inbox
from pvt_edge.streams.reader import Reader
from pvt_edge.streams.status import StreamRecord


def picture(value, hw=(16, 16)):
    return np.full((*hw, 3), value % 256, np.uint8)


class Scripted(LiveSource):
    """Plays one list of steps a connection: a number is a picture of that grey, "lost" and "ended" are what they say,
    an error is raised by the first connection or read that meets it, "damaged" was not decoded, "behind" passed over.
    """

    def __init__(self, *connections, stall_s=0.2, name="scripted", back_after=None):
        super().__init__(name, SourceOptions(stall_s=stall_s))
        self.connections = [list(steps) for steps in connections]
        self.attempts: list[float] = []
        self.disconnected = 0
        self.peeks, self.back_after = 0, back_after

    def connect(self):
        self.attempts.append(time.monotonic())
        self.steps = self.connections.pop(0) if self.connections else ["ended"]
        if self.steps and isinstance(self.steps[0], Exception):
            raise self.steps.pop(0)
        self.connected = True

    def read(self):
        while self.steps:
            step = self.steps.pop(0)
            if step == "damaged":
                self.decode_errors += 1
            elif step == "behind":
                self.passed_over += 1
            elif step == "stalled":
                time.sleep(self.options.stall_s)
                return None
            elif step == "ended":
                self.ended = True
                return None
            elif step == "lost":
                return None
            elif isinstance(step, Exception):
                raise step
            elif isinstance(step, Frame):
                return step
            else:
                return Frame(picture(step), 77)  # the reader numbers anew
        return None

    def disconnect(self):
        self.connected = False
        self.disconnected += 1

    def is_back(self):
        self.peeks += 1
        return self.back_after is not None and self.peeks >= self.back_after


class Readings:
    """Reads sources as a run does, without a model; `frames[i]` are those of source i, in order."""

    def __init__(self, *sources, prepare=lambda frame: frame, depth=4, keep_all=False):
        self.inbox = Inbox()
        self.records = [StreamRecord(i, source.name, live=source.live) for i, source in enumerate(sources)]
        self.readers = [
            Reader(source, record, self.inbox, prepare, depth=depth)
            for source, record in zip(sources, self.records, strict=True)
        ]
        if keep_all:  # so that a test sees every frame, however slow its thread is
            for reader in self.readers:
                reader._box.live = False
                reader._box.depth = 1 << 30
        self.sources = sources
        self.frames = [[] for _ in sources]
        self.arrived = [[] for _ in sources]
        self._thread = threading.Thread(target=self._take)

    def _take(self):
        while taken := self.inbox.take(1):
            for record, frame in taken:
                self.frames[record.id].append(frame)
                self.arrived[record.id].append(time.monotonic())

    def status(self, i=0):
        return self.records[i].status()

    def join(self):
        """Wait for all sources to end."""
        self._thread.join(30)
        assert not self._thread.is_alive()

    def __enter__(self):
        for reader in self.readers:
            reader.start()
        self._thread.start()
        return self

    def __exit__(self, *error):
        for reader in self.readers:
            reader.stop()
        self.inbox.close()
        self._thread.join()
        for reader, source in zip(self.readers, self.sources, strict=True):
            assert reader.join(15)
            source.close()


def gone(why="gone"):
    return DataError(f"cannot open scripted: {why}")
