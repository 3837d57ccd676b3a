"""Where the live page is served, and who may see it."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware
    from aiohttp.web import Request, StreamResponse

EXAMPLES = "127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080"
LEAST_TOKEN = 12  # characters
LOGIN_PATHS = ("/login", "/style.css")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Address:
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can come in there."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"http://[{self.host}]:{self.port}/" if ":" in self.host else f"http://{self.host}:{self.port}/"


def parse_address(text: str) -> Address:
    """The address of "127.0.0.1:8080", "[::1]:8080", or ":8080" and "8080", which are this machine's alone.

    `DataError` for anything else.
    """
    host, _, port = text.strip().rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise DataError(f"cannot serve at {text!r}: the port must be 0 to 65535, as in {EXAMPLES}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise DataError(f"cannot serve at {text!r}: write an IPv6 address in brackets, such as [::1]:8080")
    if any(sign in host for sign in "/@? "):
        raise DataError(f"cannot serve at {text!r}: write a host and a port, such as {EXAMPLES}")
    return Address(host or "127.0.0.1", int(port))


class Access:
    """Lets in who knows the token; everybody where there is none, which only this machine's address may have.

    The token comes as `Authorization: Bearer`, as `?token=`, or once through the login form and then as a cookie
    that is not the token itself. `DataError` for an address that others reach and no token, or a short one.
    """

    def __init__(self, address: Address, token: str | None) -> None:
        if token is None and not address.loopback:
            raise DataError(
                f"others can reach {address.host}: set a token of {LEAST_TOKEN} characters or more in PVT_EDGE_TOKEN "
                "or --serve-token (openssl rand -hex 16 makes one), or serve at 127.0.0.1 and use an SSH tunnel"
            )
        if token is not None and len(token := token.strip()) < LEAST_TOKEN:  # a line's end comes with one from a file
            raise DataError(f"the live page's token needs {LEAST_TOKEN} characters or more, not {len(token)}")
        self._address, self._token = address, token
        self.cookie = f"pvt_edge_{address.port}"  # cookies are not kept apart by port
        self.cookie_value = hmac.new(_bytes(token or ""), b"live page", hashlib.sha256).hexdigest()

    def knows(self, token: str) -> bool:
        """Whether this is the token, told in the same time either way."""
        return self._token is None or hmac.compare_digest(_bytes(token), _bytes(self._token))

    def allows(self, request: "Request") -> bool:
        """Whether the request may see anything."""
        if self._token is None or request.path in LOGIN_PATHS:
            return True
        if hmac.compare_digest(_bytes(request.cookies.get(self.cookie, "")), _bytes(self.cookie_value)):
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.knows(given)
        return self.knows(request.query.get("token", ""))

    def host_is_ours(self, request: "Request") -> bool:
        """Whether a page of this machine's alone was asked for by its name: another site's name that leads to
        127.0.0.1 would let that site's scripts read it.
        """
        if not self._address.loopback:
            return True
        host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
        return host.strip("[]") in ("localhost", "127.0.0.1", "::1", self._address.host)

    def middleware(self) -> "Middleware":
        """What aiohttp passes every request through."""
        from aiohttp import web

        @web.middleware
        async def check(
            request: "Request", handler: "Callable[[Request], Awaitable[StreamResponse]]"
        ) -> "StreamResponse":
            if not self.host_is_ours(request):
                raise web.HTTPMisdirectedRequest(text="this page is served to this machine by its own name alone\n")
            if not self.allows(request):
                if request.path == "/":
                    raise web.HTTPSeeOther("/login")
                raise web.HTTPUnauthorized(
                    text="token needed: Authorization: Bearer TOKEN, or log in at /login\n",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            return await handler(request)

        return check


def _bytes(text: str) -> bytes:
    """What was given as it can be compared, though it be no text: aiohttp decodes bytes that are none to surrogates."""
    return text.encode(errors="surrogatepass")
