"""A real HTTP server that behaves as badly as it is told to, and remembers what it was asked."""

import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn


@dataclass(frozen=True)
class Answer:
    """What one request gets; the default is a well-behaved file server's answer.

    `length` is what Content-Length says when it lies; `cut` and `stall` are numbers of bytes after which the
    connection closes or says nothing more; `ranges` whether Range is heeded, `shift` by how much wrongly, `most` how
    many bytes of it are given; a `careless` server does not heed If-Range.
    """

    body: bytes = b""
    status: int = 200
    etag: str | None = '"one"'
    length: int | None = None
    cut: int | None = None
    stall: int | None = None
    ranges: bool = True
    shift: int = 0
    most: int | None = None
    careless: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Server(ThreadingMixIn, HTTPServer):
    """Gives each path its answers in turn, the last one again and again; 404 for others."""

    daemon_threads = False  # server_close waits for them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()
        self.stalled = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def give(self, path: str, *answers: Answer) -> str:
        """The address of `path`, which gets these answers."""
        self.answers[path] = list(answers)
        return self.url + path

    def headers_of(self, name: str) -> list[str | None]:
        """What each request so far said in that header."""
        return [headers.get(name) for _, headers in self.requests]

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        queue = self.server.answers.get(self.path, [Answer(status=404)])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        with suppress(ConnectionError):  # the client hung up
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        body, status, extra = answer.body, answer.status, dict(answer.headers)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = answer.careless or self.headers.get("If-Range") == answer.etag
        if asked and status == 200 and answer.ranges and same:
            start = int(asked[1]) - answer.shift
            status = 206 if start < len(body) else 416
            total = len(body)
            body = body[start:][: answer.most]
            last = start + len(body) - 1
            extra["Content-Range"] = f"bytes {start}-{last}/{total}" if status == 206 else f"bytes */{total}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
        if answer.etag:
            self.send_header("ETag", answer.etag)
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        ends = [end for end in (answer.cut, answer.stall) if end is not None]
        self.wfile.write(body[: min(ends)] if ends else body)
        self.wfile.flush()
        if answer.stall is not None:
            self.server.stalled.set()
            self.server.closing.wait()
        self.close_connection = True
