"""Sources opened together: with several, those that are not there are waited for later."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from pvt_edge.errors import PvtEdgeError
from pvt_edge.sources import LiveSource, Source, SourceOptions, open_source

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
