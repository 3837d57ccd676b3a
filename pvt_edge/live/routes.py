"""What the live page's server answers."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING

from pvt_edge import __version__
from pvt_edge.live.access import HEADERS, Access
from pvt_edge.live.prometheus import StreamCollector, make_registry
from pvt_edge.live.view import History, health, is_fine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.web import Application, Request, Response, StreamResponse

    from pvt_edge.live.view import LiveView
    from pvt_edge.streams.status import StreamStatus

BOUNDARY = "frame"
WAIT_S = 10.0  # for a newer picture, before a viewer has to ask again, or is looked for where it watches the video
PATIENCE_S = 5.0  # that a viewer may take for one picture
SEND_BYTES = 128 << 10  # of a viewer's socket: what lies in it is lag
SAMPLE_S = 1.0
STATIC = {"/": "index.html", "/style.css": "style.css", "/script.js": "script.js"}
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


class Routes:
    """The page's handlers. `views` holds a stream's pictures by its id."""

    def __init__(
        self,
        access: Access,
        statuses: "Callable[[], Sequence[StreamStatus]]",
        views: "Mapping[int, LiveView]",
        *,
        hung_s: float,
    ) -> None:
        self._access, self._statuses, self._views, self._hung_s = access, statuses, views, hung_s
        self._history = History()
        self._watching = self._dropped = 0
        self._registry = make_registry(StreamCollector(statuses, lambda: (self._watching, self._dropped)))

    def application(self) -> "Application":
        """All of it, to be run by aiohttp."""
        from aiohttp import web

        application = web.Application(middlewares=[self._access.middleware()])
        for path in STATIC:
            application.router.add_get(path, self._static)
        application.router.add_get("/login", self._login_form)
        application.router.add_post("/login", self._login)
        application.router.add_get("/api/status", self._status)
        application.router.add_get(r"/api/history/{stream:\d+}", self._past)
        application.router.add_get(r"/stream/{stream:\d+}", self._video)
        application.router.add_get(r"/snapshot/{stream:\d+}.jpg", self._snapshot)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/metrics", self._metrics)
        application.on_response_prepare.append(_add_headers)
        application.cleanup_ctx.append(self._sampling)
        return application

    async def _sampling(self, _: "Application"):  # type: ignore[no-untyped-def]
        async def sample() -> None:
            while True:
                self._history.add(self._statuses())
                await asyncio.sleep(SAMPLE_S)

        task = asyncio.create_task(sample())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _static(self, request: "Request") -> "Response":
        return _file(STATIC[request.path])

    async def _login_form(self, _: "Request") -> "Response":
        return _file("login.html")

    async def _login(self, request: "Request") -> "Response":
        from aiohttp import web

        try:
            given = (await request.post()).get("token")
        except (ValueError, LookupError):  # no text, or of a character set that nobody knows
            given = None
        if not isinstance(given, str) or not self._access.knows(given.strip()):
            await asyncio.sleep(0.5)  # who guesses shall wait
            return _file("login.html", status=401)
        reply = web.HTTPSeeOther("/")
        reply.set_cookie(
            self._access.cookie, self._access.cookie_value, httponly=True, samesite="Strict", max_age=30 * 86400
        )
        raise reply

    async def _status(self, _: "Request") -> "Response":
        from aiohttp import web

        statuses = self._statuses()
        return web.json_response(
            {
                "version": __version__,
                "health": health(statuses, hung_s=self._hung_s),
                "viewers": self._watching,
                "viewers_dropped": self._dropped,
                "streams": [asdict(status) for status in statuses],
            }
        )

    async def _past(self, request: "Request") -> "Response":
        from aiohttp import web

        self._view(request)
        return web.json_response([asdict(sample) for sample in self._history.of(int(request.match_info["stream"]))])

    async def _healthz(self, _: "Request") -> "Response":
        from aiohttp import web

        statuses = self._statuses()
        state = health(statuses, hung_s=self._hung_s)
        streams = [
            {"id": status.id, "state": status.state, "fine": is_fine(status, hung_s=self._hung_s)}
            for status in statuses
        ]
        return web.json_response({"status": state, "streams": streams}, status=503 if state == "down" else 200)

    async def _metrics(self, _: "Request") -> "Response":
        from aiohttp import web
        from prometheus_client import generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _view(self, request: "Request") -> "LiveView":
        from aiohttp import web

        number = int(request.match_info["stream"])
        if number not in self._views:
            raise web.HTTPNotFound(text=f"there is no stream {number}; there are {len(self._views)}, from 0\n")
        return self._views[number]

    async def _snapshot(self, request: "Request") -> "Response":
        """The newest picture; with ?after=NUMBER the next newer one, waited for, and 204 when none comes."""
        from aiohttp import web

        view = self._view(request)
        after = request.query.get("after")
        if after is None and view.number == 0:
            raise web.HTTPServiceUnavailable(text="no frame has been answered yet\n")
        last = max(0, view.number - 1)
        # a number above ours is of a server before us
        shown = int(after) if after and after.isdecimal() and int(after) <= view.number else last
        self._watching += 1
        try:
            picture = await asyncio.wait_for(view.after(shown), WAIT_S)
        except (asyncio.TimeoutError, TimeoutError):
            raise web.HTTPNoContent from None
        finally:
            self._watching -= 1
        headers = {"X-Number": str(picture.number), "X-Frame-Id": str(picture.frame_id)}
        return web.Response(body=picture.jpeg, content_type="image/jpeg", headers=headers)

    async def _video(self, request: "Request") -> "StreamResponse":
        """Pictures for ever, each the newest when the viewer is ready for it."""
        from aiohttp import web

        view = self._view(request)
        _keep_short(request)
        response = web.StreamResponse(
            headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}", "Connection": "close"}
        )
        await response.prepare(request)
        shown = max(0, view.number - 1)
        self._watching += 1
        try:
            await response.write(f"--{BOUNDARY}\r\n".encode())
            while request.transport is not None:  # else it went away
                try:
                    picture = await asyncio.wait_for(view.after(shown), WAIT_S)
                except (asyncio.TimeoutError, TimeoutError):  # no picture came: see whether it is still there
                    continue
                shown = picture.number
                head = f"Content-Type: image/jpeg\r\nX-Frame-Id: {picture.frame_id}\r\n"
                head += f"Content-Length: {len(picture.jpeg)}\r\n\r\n"
                # the boundary comes at once, and not with the next picture, which may be long in coming
                part = head.encode() + picture.jpeg + f"\r\n--{BOUNDARY}\r\n".encode()
                await asyncio.wait_for(response.write(part), PATIENCE_S)
        except (asyncio.TimeoutError, TimeoutError):
            self._dropped += 1
            if request.transport is not None:
                request.transport.abort()  # closing would wait for what it does not take
        except ConnectionError:  # it went away
            pass
        finally:
            self._watching -= 1
        return response


def _keep_short(request: "Request") -> None:
    """Let little wait for the viewer: what lies in buffers is lag to it and memory to us."""
    if request.transport is None:
        return
    request.transport.set_write_buffer_limits(high=0)
    stream: socket.socket | None = request.transport.get_extra_info("socket")
    if stream is not None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)


def _file(name: str, *, status: int = 200) -> "Response":
    from aiohttp import web

    text = (files("pvt_edge.live") / "static" / name).read_text(encoding="utf-8")
    return web.Response(text=text, status=status, content_type=KINDS[name.rpartition(".")[2]], charset="utf-8")


async def _add_headers(_: "Request", response: "StreamResponse") -> None:
    response.headers.update(HEADERS)
