"""An aiohttp application in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError
from pvt_edge.live.address import Address

if TYPE_CHECKING:
    from aiohttp.web import Application

CLOSING_S = 0.5  # that viewers are given to hang up


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
            raise self._told(self._error) from self._error

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

    def _told(self, error: BaseException) -> DataError:
        place = f"{self._address.host}:{self._address.port}"
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return DataError(f"cannot serve at {place}: {reason}; choose another port, or 0 for any that is free")

    def stop(self) -> None:
        """Hang up on everyone and end the thread; a second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
