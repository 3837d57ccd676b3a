"""Results posted to a web address."""

import http.client
import logging
from base64 import b64encode
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pvt_edge.errors import DataError
from pvt_edge.sinks.sink import Sink
from pvt_edge.sources.credentials import login_of, redact

if TYPE_CHECKING:
    from pvt_edge.results import Result

TIMEOUT_S = 5.0
log = logging.getLogger("pvt_edge.streams")


class Webhook(Sink):
    """Posts each result's JSON, of one stream at most every `every_s` seconds, over one connection.

    A post that fails or takes longer than 5 s is counted in `failed` and logged when posts begin to fail; the
    next is tried all the same. User and password in the address are sent as Basic authentication.
    """

    grace_s = TIMEOUT_S

    def __init__(self, address: str, *, every_s: float = 0.0) -> None:
        parts = urlsplit(address)
        self.target = redact(address)
        try:
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            usable = False
        if not usable:
            raise DataError(f"cannot post to {self.target}: write it like http://HOST:PORT/PATH or https://HOST/PATH")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "User-Agent": "pvt-edge"}
        if login := login_of(address):
            self._headers["Authorization"] = f"Basic {b64encode(':'.join(login).encode()).decode()}"
        self._connection: http.client.HTTPConnection | None = None
        self._every_s = every_s
        self._posted_at: dict[int, float] = {}
        self.sent = self.failed = 0
        self._failing = False

    def write(self, result: "Result") -> None:
        stream = result.frame.stream.id if result.frame.stream is not None else 0
        now = monotonic()
        if self._every_s and now - self._posted_at.get(stream, -self._every_s) < self._every_s:
            return
        self._posted_at[stream] = now
        try:
            reason = self._post(result.to_json().encode())
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        if reason:
            self.failed += 1
            self._drop_connection()
            if not self._failing:
                log.error("posts to %s fail: %s; each result is tried once", self.target, reason)
        else:
            self.sent += 1
            if self._failing:
                log.warning("posts to %s succeed again; %d failed so far", self.target, self.failed)
        self._failing = bool(reason)

    def _post(self, body: bytes) -> str:
        """Why the post failed; empty after success."""
        fresh = self._connection is None
        if self._connection is None:
            self._connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        try:
            self._connection.request("POST", self._path, body, self._headers)
            reply = self._connection.getresponse()
            reply.read()
        except (ConnectionError, http.client.HTTPException):
            if fresh:
                raise
            self._drop_connection()  # the server closed the idle connection: nobody has read this post
            return self._post(body)
        return "" if reply.status < 400 else f"the server answers {reply.status} {reply.reason}"

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        self._drop_connection()
