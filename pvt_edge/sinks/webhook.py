"""Results posted to a web address."""

import http.client
import logging
import socket
import ssl
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pvt_edge.errors import DataError
from pvt_edge.sinks.sink import Sink
from pvt_edge.web_addresses import basic_authorization, encoded, login_of

if TYPE_CHECKING:
    from pvt_edge.results import Result

TIMEOUT_S = 5.0
MOST_REPLY_BYTES = 64 << 10  # of an answer that is read, so that the connection can be used again
log = logging.getLogger("pvt_edge.streams")


class Webhook(Sink):
    """Posts each result's JSON, of one stream at most every `every_s` seconds, over one connection.

    A post that fails or is not answered within 5 s is counted in `lost`, told in the log when posts begin to
    fail, and not repeated; the next is tried all the same, and nobody waits for it meanwhile. User and password
    in the address are sent as Basic authentication. `target` leaves the path out: it often is the secret.
    """

    grace_s = 2.0

    def __init__(self, address: str, *, every_s: float = 0.0) -> None:
        try:
            parts = urlsplit(encoded(address))
            self._host, self._port = parts.hostname or "", parts.port
            self._host.encode("idna")  # a label that is empty or too long is no host's
        except ValueError:
            self._host = ""
        if not self._host or parts.scheme not in ("http", "https") or self._port == 0:
            raise DataError("cannot post to the webhook: write it like http://HOST:PORT/PATH or https://HOST/PATH")
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.target = f"webhook {parts.scheme}://{host}" + (f":{self._port}" if self._port else "")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "User-Agent": "pvt-edge"}
        if login := login_of(address):
            self._headers["Authorization"] = basic_authorization(login)
        self._connection: http.client.HTTPConnection | None = None
        self._every_s = every_s
        self._posted_at: dict[int, float] = {}
        self._reason = ""  # why the last post failed
        self._given_up = False
        self.sent = 0

    @property
    def healthy(self) -> bool:
        return not self._reason

    def write(self, result: "Result") -> None:
        stream = result.frame.stream.id if result.frame.stream is not None else 0
        now = monotonic()
        if self._every_s and now - self._posted_at.get(stream, -self._every_s) < self._every_s:
            return
        self._posted_at[stream] = now
        reason = self._post(result.to_json().encode())
        if reason:
            self.lost += 1
            self._drop_connection()
            if self.healthy:
                log.warning("%s: posts fail: %s", self.target, reason)
        else:
            self.sent += 1
            if not self.healthy:
                log.warning("%s: posts succeed again; %d were lost so far", self.target, self.lost)
        self._reason = reason

    def _post(self, body: bytes) -> str:
        """Why the post failed; empty after success."""
        try:
            reused = self._connection is not None
            try:
                return self._ask(body)
            except (ConnectionError, http.client.BadStatusLine):
                if not reused or self._given_up:
                    raise
                self._drop_connection()  # the server closed a connection that was idle
                return self._ask(body)
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message
            return f"its certificate is not trusted ({why}): let SSL_CERT_FILE name the file of its authority"
        except TimeoutError:
            return f"no answer within {TIMEOUT_S:g} s"
        except (OSError, http.client.HTTPException) as error:
            return getattr(error, "strerror", None) or str(error) or type(error).__name__

    def _ask(self, body: bytes) -> str:
        """What the server answers; empty for yes."""
        if self._connection is None:
            self._connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        self._connection.request("POST", self._path, body, self._headers)
        reply = self._connection.getresponse()
        reply.read(MOST_REPLY_BYTES)
        if not reply.isclosed():
            self._drop_connection()
        return "" if 200 <= reply.status < 300 else f"the server answers {reply.status} {reply.reason}"

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def give_up(self) -> None:
        self._given_up = True
        channel = self._connection.sock if self._connection is not None else None
        if channel is not None:
            with suppress(OSError):  # it was closed already
                channel.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the answer

    def close(self) -> None:
        self._drop_connection()
        if self._reason and not self.sent:
            raise DataError(f"{self.target}: none of {self.lost} posts arrived: {self._reason}")
