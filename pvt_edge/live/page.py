"""The live page as a sink: results in, whoever watches sees the newest."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from pvt_edge.errors import RuntimeMissingError
from pvt_edge.live.access import Access
from pvt_edge.live.address import parse_address
from pvt_edge.live.routes import Routes
from pvt_edge.live.server import ServerThread
from pvt_edge.live.view import LiveView
from pvt_edge.sinks.sink import Sink
from pvt_edge.streams.status import STALLS_TO_HANG

if TYPE_CHECKING:
    from aiohttp.web import Application

    from pvt_edge.results import Result
    from pvt_edge.streams.status import StreamStatus

MOST_FPS = 12.0  # pictures a second that are drawn and encoded for viewers


class LivePage(Sink):
    """Serves video, counts, charts, health and metrics of the streams that `statuses` tells of, at `url`.

    `token` is needed at every address but this machine's own. Viewers get the newest picture, `most_fps` of them a
    second, drawn and encoded once for all and only while somebody watches; who takes longer than 5 s for one is
    dropped. `stall_s` is the streams'. `DataError` for an address that cannot be had or needs a token,
    `RuntimeMissingError` without aiohttp or prometheus_client.
    """

    newest_only = True

    def __init__(
        self,
        address: str,
        *,
        token: str | None,
        statuses: "Callable[[], Sequence[StreamStatus]]",
        stall_s: float,
        most_fps: float = MOST_FPS,
    ) -> None:
        try:
            import aiohttp  # noqa: F401
            import prometheus_client  # noqa: F401
        except ImportError as error:
            raise RuntimeMissingError(f'the live page needs {error.name}: pip install "pvt-edge[serve]"') from error
        asked = parse_address(address)
        access = Access(asked, token or None)
        # one thread: a second would take a core from the model
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pvt-edge live picture")
        self._views: dict[int, LiveView] = {}

        def application(loop: asyncio.AbstractEventLoop) -> "Application":
            self._views |= {s.id: LiveView(loop, self._pool, most_fps=most_fps) for s in statuses()}
            return Routes(access, statuses, self._views, hung_s=STALLS_TO_HANG * stall_s).application()

        self._server = ServerThread(asked, application)
        self.url = replace(asked, port=self._server.port).url
        self.target = f"live page {self.url}"

    def write(self, result: "Result") -> None:
        stream = result.frame.stream
        self._views[stream.id if stream is not None else 0].put(result)

    def close(self) -> None:
        self._server.stop()
        self._pool.shutdown()
