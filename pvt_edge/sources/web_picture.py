"""A picture on a web server."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import PurePosixPath
from time import monotonic
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from pvt_edge.errors import DataError
from pvt_edge.options.stream import SourceOptions
from pvt_edge.sources.diagnosis import refusal, why_not
from pvt_edge.sources.picture import PageWarnings, Picture, open_picture
from pvt_edge.sources.picture_kind import PICTURE_SUFFIXES, UNREADABLE_SUFFIXES
from pvt_edge.sources.source import Frame, Source
from pvt_edge.web_addresses import basic_authorization, encoded, login_of, redact, without_login

MOST_BYTES = 256 << 20
MOST_SECONDS = 60.0  # for the whole of a picture, however steadily its server drips
CHUNK_BYTES = 1 << 20
STREAMS = ("multipart", "video", "audio")  # of content that is no picture, though a camera may call it x.jpg


class WebPicture(Source):
    """The pages of a picture at an address, fetched already. `name` and the frames' `path` are without secrets."""

    def __init__(self, address: str, picture: Picture, options: SourceOptions) -> None:
        super().__init__(redact(address))
        self._picture, self._pixel_max = picture, options.pixel_max
        self.frame_count, self.fps = picture.count, picture.fps

    def __iter__(self) -> Iterator[Frame]:
        path = self.name.partition("?")[0]
        count, page_warnings = 0, PageWarnings(self._pixel_max)
        for page in self._picture.pages(self._pixel_max):
            if isinstance(page, DataError):
                self.skipped.append(f"cannot read {self.name}: {page}")
                continue
            page_warnings.see(page, path)
            yield Frame(page.image, count, path=path, page=page.number)
            count += 1
        page_warnings.end(self.name)
        if count == 0:
            raise DataError(self.skipped[-1])


def names_picture(address: str) -> bool:
    """Whether the address's path ends like a picture's."""
    try:
        suffix = PurePosixPath(unquote(urlsplit(address).path)).suffix.lower()
    except ValueError:  # a malformed address
        return False
    return suffix in (*PICTURE_SUFFIXES, *UNREADABLE_SUFFIXES)


def fetch_picture(address: str, timeout_s: float) -> Picture | None:
    """The picture at the address; None where its server gives a stream. `DataError` says why there is neither."""
    name = redact(address)
    login = login_of(address)
    request = urllib.request.Request(without_login(encoded(address)), headers={"User-Agent": "pvt-edge"})
    if login:
        request.add_unredirected_header("Authorization", basic_authorization(login))  # not for another host
    opener = urllib.request.build_opener(_Redirects)
    try:
        with opener.open(request, timeout=timeout_s) as reply:
            if reply.headers.get_content_maintype() in STREAMS:
                return None
            kind, data = reply.headers.get_content_type(), _read(reply, name)
    except urllib.error.HTTPError as error:
        error.close()
        why = refusal(error.code, login) or f"its server answers {error.code}"
        raise DataError(f"cannot read {name}: {why.replace('no such stream', 'no such picture')}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:  # whose text may hold a password
        raise DataError(f"cannot read {name}: {why_not(address, timeout_s)}") from error
    try:
        picture = open_picture(data)
    except DataError as error:
        raise DataError(f"cannot read {name}: {error}") from error
    if picture.kind is None:
        raise DataError(f"cannot read {name}: no picture, its server calls it {kind}")
    return picture


def _read(reply: IO[bytes], name: str) -> bytes:
    parts: list[bytes] = []
    until, size = monotonic() + MOST_SECONDS, 0
    while part := _read_part(reply, name, size):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise DataError(f"cannot read {name}: it is larger than {MOST_BYTES >> 20} MiB; fetch it to a file first")
        if monotonic() > until:
            raise DataError(
                f"cannot read {name}: it did not arrive within {MOST_SECONDS:g} s; fetch it to a file first"
            )
    return b"".join(parts)


def _read_part(reply: IO[bytes], name: str, size: int) -> bytes:
    try:
        return reply.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        why = f"it broke off after {size >> 10} KiB ({type(error).__name__})"
        raise DataError(f"cannot read {name}: {why}; try again, or fetch it to a file first") from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, the login only to the same host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        login = req.unredirected_hdrs.get("Authorization")
        if new is not None and login is not None and (new.host, new.type) == (req.host, req.type):
            new.add_unredirected_header("Authorization", login)
        return new
