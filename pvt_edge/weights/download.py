"""One file over HTTP: resumed where it was cut, tried again where that helps, never taken for whole when it is not."""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pvt_edge import __version__

if TYPE_CHECKING:
    import requests

Progress = Callable[[str, int, int | None], None]  # URL, bytes so far, bytes in all where the server tells
Tell = Callable[[int, int | None], None]

CHUNK_BYTES = 1 << 16
GROWTH_BYTES = 1 << 20  # a try that brings this much more starts the count of failures anew
PASSING = (408, 425, 429, 500, 502, 503, 504)  # states of a server that may pass


class DownloadError(Exception):
    """Why there is no file: in words that follow the URL."""


class _PassingError(DownloadError):
    """The same, of what may be otherwise in a moment."""


@dataclass(frozen=True)
class Patience:
    """How long a download waits for a connection and for the next bytes; how often it tries, waiting 0.5, 1, 2 s."""

    connect_s: float = 10.0
    stall_s: float = 30.0
    tries: int = 4
    first_wait_s: float = 0.5


def mirrored(url: str) -> str:
    """The address to ask: `url`, or its host and path under $PVT_EDGE_MIRROR, as `wget -x` lays a mirror out."""
    base = os.environ.get("PVT_EDGE_MIRROR")
    if not base:
        return url
    if urlsplit(base).scheme not in ("http", "https"):
        raise DownloadError(f"PVT_EDGE_MIRROR is {base!r}, which is no http:// or https:// address")
    parts = urlsplit(url)
    return f"{base.rstrip('/')}/{parts.netloc}{parts.path}"


def download(url: str, part: Path, *, patience: Patience | None = None, progress: Progress | None = None) -> str | None:
    """The SHA-256 that the server tells of the file at `url`, if any; the file is then whole in `part`.

    What `part` holds of an earlier try is gone on from, provided that the server says it is of the same file
    (If-Range). Proxies are those of the environment. Raises `DownloadError`, and leaves `part` for the next time;
    `OSError` where `part` cannot be written.
    """
    import requests

    patience = patience or Patience()
    address = mirrored(url)
    tell = partial(progress, address) if progress else None
    failures, furthest = 0, _size(part)
    with requests.Session() as session:
        session.headers.update({"User-Agent": f"pvt-edge/{__version__}", "Accept-Encoding": "identity"})
        while True:
            try:
                return _fetch(session, address, part, patience, tell)
            except _PassingError:
                failures = 1 if _size(part) >= furthest + GROWTH_BYTES else failures + 1
                furthest = max(furthest, _size(part))
                if failures >= patience.tries:
                    raise
            time.sleep(patience.first_wait_s * 2 ** (failures - 1))


def discard(part: Path) -> None:
    """Remove a part and what was noted of it."""
    for path in (part, _note(part)):
        with suppress(FileNotFoundError):
            path.unlink()


def _fetch(session: "requests.Session", address: str, part: Path, patience: Patience, tell: Tell | None) -> str | None:
    """One try; third-party errors become ours here."""
    import requests

    start, headers = _size(part), {}
    validator = _note(part).read_text(encoding="utf-8") if start and _note(part).is_file() else None
    if validator:
        headers = {"Range": f"bytes={start}-", "If-Range": validator}
    timeout = (patience.connect_s, patience.stall_s)
    try:
        with session.get(address, headers=headers, stream=True, timeout=timeout) as response:
            if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{start}":
                return _told_sha256(response)  # all was there already
            _check_status(response, part)
            resumed = response.status_code == 206
            start = start if resumed else 0
            _write(response, part, start, tell)
            return _told_sha256(response)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _PassingError(_reason(error, patience)) from error
    except requests.RequestException as error:
        raise DownloadError(_reason(error, patience)) from error


def _check_status(response: "requests.Response", part: Path) -> None:
    status = response.status_code
    start = _size(part)
    told = f"the server answered {status} {response.reason or ''}".rstrip()
    if status == 206:
        if re.match(rf"bytes {start}-\d+/", response.headers.get("Content-Range", "")):
            return
        told = "the server sent another range than was asked for"
    elif status == 200:
        return
    if status in (206, 416):  # its resuming does not work: from the beginning then
        discard(part)
        raise _PassingError(told)
    raise (_PassingError if status in PASSING else DownloadError)(told)


def _write(response: "requests.Response", part: Path, start: int, tell: Tell | None) -> None:
    """The body into `part`, from `start` on; `_PassingError` if it is shorter than was told."""
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    _note(part).write_text(_validator(response), encoding="utf-8")
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            if tell:
                tell(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _PassingError(f"the server ended after {done} of {total} bytes")


def _validator(response: "requests.Response") -> str:
    """What If-Range is to say next time: only a strong tag or a date may (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _told_sha256(response: "requests.Response") -> str | None:
    """The hash that Hugging Face's hub tells while it redirects to the file."""
    for answer in (*response.history, response):
        told = re.fullmatch(r'"?([0-9a-f]{64})"?', answer.headers.get("X-Linked-ETag", ""))
        if told:
            return told[1]
    return None


def _reason(error: Exception, patience: Patience) -> str:
    """What went wrong, from the innermost of the errors that lie in each other."""
    import requests

    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {patience.connect_s:g} s"
    innermost: BaseException = error
    seen: set[int] = set()
    while id(innermost) not in seen:
        seen.add(id(innermost))
        inner = (getattr(innermost, "reason", None), *innermost.args, innermost.__cause__, innermost.__context__)
        innermost = next((one for one in inner if isinstance(one, BaseException) and id(one) not in seen), innermost)
    if isinstance(innermost, IncompleteRead):
        return f"the server ended {innermost.expected} bytes too early"
    if isinstance(innermost, TimeoutError):
        return f"nothing arrived for {patience.stall_s:g} s"
    text = getattr(innermost, "strerror", None) or str(innermost) or type(innermost).__name__
    through = "the proxy failed: " if isinstance(error, requests.exceptions.ProxyError) else ""
    return through + " ".join(str(text).split())


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
