"""The live page as a sink: results in, whoever watches sees the newest; served by a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.live.access import Access, Address, parse_address
from pvt_edge.live.routes import Routes
from pvt_edge.live.view import LiveView
from pvt_edge.sinks.sink import Sink
from pvt_edge.streams.status import STALLS_TO_HANG

if TYPE_CHECKING:
    from aiohttp.web import Application

    from pvt_edge.results import Result
    from pvt_edge.streams.status import StreamStatus

CLOSING_S = 0.5  # that viewers are given to hang up
MOST_FPS = 12.0  # pictures a second that are drawn and encoded for viewers


class ServerThread:
    """Runs the application that `make_application(loop)` gives at `address`; `port` is the one it got.

    `DataError` at once where the address cannot be had.
    """

    def __init__(
        self, address: Address, make_application: "Callable[[asyncio.AbstractEventLoop], Application]"
    ) -> None:
        self.port = address.port
        self._address, self._make = address, make_application
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pvt-edge live page", daemon=True)
        self._start()

    def _start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._failure(self._error) from self._error

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # told by the thread that waits for the start
            self._error = error
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        from aiohttp import web

        # no access log: addresses in it may carry the token
        runner = web.AppRunner(self._make(self._loop), access_log=None, shutdown_timeout=CLOSING_S)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._address.host, self._address.port)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    def _failure(self, error: BaseException) -> DataError:
        place = f"{self._address.host}:{self._address.port}"
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return DataError(f"cannot serve at {place}: {reason}; choose another port, or 0 for any that is free")

    def stop(self) -> None:
        """Hang up on everyone and end the thread; a second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()


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
