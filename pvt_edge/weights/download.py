"""One file over HTTP: resumed where it was cut, tried again where that helps, never taken for whole when it is not."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pvt_edge import __version__
from pvt_edge.web_addresses import without_login

if TYPE_CHECKING:
    import requests

Progress = Callable[[str, int, int | None], None]  # URL, bytes so far, bytes in all where the server tells
OnBytes = Callable[[int, int | None], None]

CHUNK_BYTES = 1 << 16
GROWTH_BYTES = 1 << 20  # a try that brings this much more starts the count of failures anew
LONGEST_WAIT_S = 60.0  # that a server's Retry-After is heeded
PASSING = (408, 425, 429, 500, 502, 503, 504)  # states of a server that may pass


class DownloadError(Exception):
    """Why there is no file: in words that follow the URL."""


class _PassingError(DownloadError):
    """The same, of what may be otherwise in a moment; not before `wait_s`, where the server says so."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


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
    try:
        mirror = urlsplit(base)
        usable = mirror.scheme in ("http", "https") and bool(mirror.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(f"PVT_EDGE_MIRROR is {without_login(base)!r}, which is no http:// or https:// address")
    parts = urlsplit(url)
    return f"{base.rstrip('/')}/{parts.netloc}{parts.path}"


def shown_address(url: str) -> str:
    """`mirrored`, as people and records are told it: without user and password."""
    return without_login(mirrored(url))


def download(url: str, part: Path, *, patience: Patience | None = None, progress: Progress | None = None) -> str | None:
    """The SHA-256 that the server tells of the file at `url`, if any; the file is then whole in `part`.

    What `part` holds of an earlier try is gone on from, provided that the server says it is of the same file
    (If-Range). Proxies are those of the environment. Raises `DownloadError`, and leaves `part` for the next time;
    `OSError` where `part` cannot be written.
    """
    import requests

    patience = patience or Patience()
    address = mirrored(url)
    on_bytes = partial(progress, without_login(address)) if progress else None
    failures, furthest = 0, _size(part)
    with requests.Session() as session:
        session.headers.update({"User-Agent": f"pvt-edge/{__version__}", "Accept-Encoding": "identity"})
        while True:
            try:
                return _fetch(session, address, part, patience, on_bytes)
            except _PassingError as error:
                wait_s = error.wait_s
                failures = 1 if _size(part) >= furthest + GROWTH_BYTES else failures + 1
                furthest = max(furthest, _size(part))
                if failures >= patience.tries:
                    raise
            time.sleep(max(patience.first_wait_s * 2 ** (failures - 1), wait_s))


def discard(part: Path) -> None:
    """Remove a part and what was noted of it."""
    for path in (part, _note(part)):
        with suppress(FileNotFoundError):
            path.unlink()


def _fetch(
    session: "requests.Session", address: str, part: Path, patience: Patience, on_bytes: OnBytes | None
) -> str | None:
    """One try; third-party errors become ours here."""
    start, validator, headers = _size(part), _noted(part), {}
    if start and validator:
        headers = {"Range": f"bytes={start}-", "If-Range": validator}
    with _ask(session, address, headers, patience) as response, _our_errors(patience):
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{start}":
            return _announced_sha256(response)  # all was there already
        _check_status(response, part, validator)
        _write(response, part, start if response.status_code == 206 else 0, on_bytes)
        return _announced_sha256(response)


def _ask(session: "requests.Session", address: str, headers: dict[str, str], patience: Patience) -> "requests.Response":
    """The answer, its body not yet read."""
    from urllib3.exceptions import HTTPError

    timeout = (patience.connect_s, patience.stall_s)
    try:
        with _our_errors(patience):
            return session.get(address, headers=headers, stream=True, timeout=timeout)
    except (OSError, ValueError, HTTPError) as error:  # no such file of authorities; an address that nobody can have
        raise DownloadError(_reason(error, patience)) from error


@contextmanager
def _our_errors(patience: Patience) -> Iterator[None]:
    """Within, errors of requests become ours."""
    import requests

    try:
        yield
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _PassingError(_reason(error, patience)) from error
    except requests.RequestException as error:
        raise DownloadError(_reason(error, patience)) from error


def _check_status(response: "requests.Response", part: Path, validator: str | None) -> None:
    """Raise unless the body is the file, or the rest of that file which `part` holds the beginning of."""
    status, start, tag = response.status_code, _size(part), _validator(response)
    reason = f"the server answered {status} {response.reason or ''}".rstrip()
    if status == 206:
        if tag and validator and tag != validator:
            reason = "the server gave the rest of another file"
        elif re.match(rf"bytes {start}-\d+/", response.headers.get("Content-Range", "")):
            return
        else:
            reason = "the server sent another range than was asked for"
    elif status == 200:
        return
    if status in (206, 416):  # its resuming does not work: from the beginning then
        discard(part)
        raise _PassingError(reason)
    if status not in PASSING:
        raise DownloadError(reason)
    raise _PassingError(reason, min(_retry_after_s(response), LONGEST_WAIT_S))


def _retry_after_s(response: "requests.Response") -> float:
    """Seconds that the server wants to be left alone, which it gives as such or as a date; 0 where it says nothing."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
    except InvalidHeader:
        return 0.0


def _write(response: "requests.Response", part: Path, start: int, on_bytes: OnBytes | None) -> None:
    """The body into `part`, from `start` on; `_PassingError` if it is shorter than the whole was told to be."""
    packed = response.headers.get("Content-Encoding", "identity") != "identity"  # against our wish: counted otherwise
    total = None if packed else _announced_total(response, start)
    if not start:
        discard(part)  # or a note of the new file could lie beside the old one's bytes
    _note(part).write_text("" if packed else _validator(response), encoding="utf-8")
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            if on_bytes:
                on_bytes(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _PassingError(f"the server ended after {done} of {total} bytes")


def _announced_total(response: "requests.Response", start: int) -> int | None:
    """Bytes of the whole file, as the server tells; of a range, which may be shorter than was asked for, its total."""
    ranged = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status_code == 206 and ranged:
        return int(ranged[1])
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _validator(response: "requests.Response") -> str:
    """What If-Range is to say next time: only a strong tag or a date may (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _noted(part: Path) -> str | None:
    """The validator noted of a part; None where there is none that could be sent, a damaged one for instance."""
    if not _note(part).is_file():
        return None
    text = _note(part).read_text(encoding="utf-8", errors="replace")
    return text if re.fullmatch(r'"[!-~]*"|\w{3}, [\w :]{10,40} GMT', text, re.ASCII) else None


def _announced_sha256(response: "requests.Response") -> str | None:
    """The hash that Hugging Face's hub tells while it redirects to the file."""
    for answer in (*response.history, response):
        match = re.fullmatch(r'"?([0-9a-f]{64})"?', answer.headers.get("X-Linked-ETag", ""))
        if match:
            return match[1]
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
