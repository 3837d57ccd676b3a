"""Sources -> one model -> results: sources opened together, a reader thread each, the model in the caller's thread."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pvt_edge.errors import DataError, PvtEdgeError
from pvt_edge.results.fields import StreamInfo
from pvt_edge.sources import LiveSource, Source, SourceOptions, open_source
from pvt_edge.streams.following import follower
from pvt_edge.streams.inbox import Inbox
from pvt_edge.streams.reader import Reader
from pvt_edge.streams.status import StreamRecord, StreamStatus

if TYPE_CHECKING:
    from pvt_edge.postprocessing import Thresholds
    from pvt_edge.predictor import Predictor
    from pvt_edge.predictor.frames import Prepared
    from pvt_edge.predictor.slicing import Slicing
    from pvt_edge.results import Result
    from pvt_edge.results.masks import MaskStyle

Follow: TypeAlias = "Callable[[Result], Result]"
READ_AHEAD = 4  # frames of a file that wait decoded
MOST_TOGETHER = 8  # frames of several streams that a dynamic batch takes at once: each waits for all
JOIN_S = 2.0  # beyond the stall time, for a reader to end
log = logging.getLogger("pvt_edge.streams")


@contextmanager
def open_sources(specs: Sequence[str], options: SourceOptions) -> Iterator[list[Source]]:
    """The sources of `specs`, open, and closed at the end.

    Live ones are connected all at once, side by side. One alone that cannot be connected is an error; of several,
    those that cannot are logged and left for their readers to connect, unless none can.
    """
    with ExitStack() as stack:
        alone = len(specs) == 1
        sources = [stack.enter_context(open_source(spec, options, connect=alone)) for spec in specs]
        live = [source for source in sources if isinstance(source, LiveSource)]
        away = [source for source in live if not source.connected]
        with ThreadPoolExecutor(max_workers=max(1, len(away)), thread_name_prefix="pvt-edge opening") as pool:
            errors = [error for error in pool.map(_connect, away) if error is not None]
        if errors and len(errors) == len(sources):
            raise errors[0]
        for error in errors:
            log.warning("%s; trying again until it is there", error)
        for note in [note for source in live for note in source.notes]:
            log.warning("%s", note)
        yield sources


def _connect(source: LiveSource) -> PvtEdgeError | None:
    try:
        source.connect()
    except PvtEdgeError as error:
        return error
    return None


class StreamRunner:
    """Runs one predictor on several sources at once. Iterate once; close it, or use it as a context manager.

    Live sources wait for nobody: each gives its newest frame, in turn with the others, and frames older than
    `max_age_ms` when their turn comes are dropped. Files give all frames in order. `follow` makes, for a source,
    the function that its results pass through one after the other (tracking). With several sources, one that
    fails is told in `failures` and the others go on; with one, its error is raised. `slicing` runs frames in tiles;
    `style` is that of the results' masks.
    """

    def __init__(
        self,
        predictor: "Predictor",
        sources: "Sequence[Source]",
        thresholds: "Thresholds",
        *,
        slicing: "Slicing | None" = None,
        max_age_ms: float | None = None,
        follow: "Callable[[Source], Follow] | None" = None,
        style: "MaskStyle | None" = None,
    ) -> None:
        if not sources:
            raise DataError("there is no source to run on")
        if max_age_ms is not None and not max_age_ms > 0:
            raise DataError(f"the greatest age must be more than 0 ms, not {max_age_ms:g}")
        self.predictor, self.sources, self.thresholds = predictor, tuple(sources), thresholds
        self.max_age_ms, self._style = max_age_ms, style
        self._hurried = False
        self.records = [StreamRecord(i, source.name, live=source.live) for i, source in enumerate(sources)]
        self._follow = [follow(source) if follow else None for source in sources]
        self._inbox: Inbox[tuple[StreamRecord, Prepared]] = Inbox()
        # the last file that goes on must fill a batch by itself
        depth = max(READ_AHEAD, self._together(), 2 * (predictor.batch or 1))
        prepare = partial(predictor.prepare, slicing=slicing) if slicing is not None else predictor.prepare
        self._readers = [
            Reader(source, record, self._inbox, prepare, depth=depth)
            for source, record in zip(self.sources, self.records, strict=True)
        ]

    @property
    def live(self) -> bool:
        """Whether a source is live."""
        return any(source.live for source in self.sources)

    @property
    def failures(self) -> list[str]:
        """What ended a source early."""
        return [f"{reader.source.name}: {reader.error}" for reader in self._readers if reader.error is not None]

    def statuses(self) -> list[StreamStatus]:
        """Every stream as it is now; may be asked from any thread."""
        return [record.status() for record in self.records]

    def __iter__(self) -> "Iterator[Result]":
        for reader in self._readers:
            reader.start()
        try:
            while taken := self._inbox.take(self._together(), fill=not self.live):
                fresh = [(record, prepared) for record, prepared in taken if self._is_fresh(record, prepared)]
                if not fresh:
                    continue
                results = self.predictor.complete([prepared for _, prepared in fresh], self.thresholds)
                for (record, _), result in zip(fresh, results, strict=True):
                    yield self._finish(record, result)
        finally:
            self.close()
        self._raise_error()

    def _together(self) -> int:
        if self.predictor.batch is not None:
            return self.predictor.batch
        return min(len(self.sources), MOST_TOGETHER)

    def _is_fresh(self, record: StreamRecord, prepared: "Prepared") -> bool:
        if self.max_age_ms is None or not record.live or prepared.frame.age_ms <= self.max_age_ms:
            return True
        record.drop()
        return False

    def _finish(self, record: StreamRecord, result: "Result") -> "Result":
        info = StreamInfo(record.id, record.source, *record.faults())
        result = replace(result, frame=replace(result.frame, stream=info), style=self._style or result.style)
        follow = self._follow[record.id]
        if follow is not None:
            result = follow(result)
        record.answer(result)
        return result

    def _raise_error(self) -> None:
        errors = [reader.error for reader in self._readers if reader.error is not None]
        if len(errors) == len(self._readers):
            raise errors[0]

    def stop(self) -> None:
        """End the iteration after the frame that is being run; may be called from a signal handler or thread."""
        for reader in self._readers:
            reader.stop()
        self._inbox.close()

    def close(self) -> None:
        """Stop, and wait for the readers; the sources stay open for their owner. A second call does nothing."""
        self.stop()
        for reader in self._readers:
            reader.join(self._patience_s(reader.source))

    def hurry(self) -> None:
        """Let `close` wait for no reader: the process is about to end."""
        self._hurried = True

    def _patience_s(self, source: "Source") -> float:
        if self._hurried:
            return 0.0
        options = getattr(source, "options", None)
        return JOIN_S + (options.stall_s if options is not None else 0.0)

    def __enter__(self) -> "StreamRunner":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def run_streams(
    predictor: "Predictor",
    sources: "Sequence[Source]",
    thresholds: "Thresholds",
    *,
    slicing: "Slicing | None" = None,
    max_age_ms: float | None = None,
    track: bool = False,
    owned: bool = False,
) -> "Iterator[Result]":
    """Results of the sources as they are ready, `result.frame.stream.id` telling whose; closes `owned` sources."""
    follow = follower() if track else None
    runner = StreamRunner(predictor, sources, thresholds, slicing=slicing, max_age_ms=max_age_ms, follow=follow)
    return _run(runner, owned=owned)


def _run(runner: StreamRunner, *, owned: bool) -> "Iterator[Result]":
    try:
        yield from runner
    finally:
        runner.close()
        if owned:
            for source in runner.sources:
                source.close()
