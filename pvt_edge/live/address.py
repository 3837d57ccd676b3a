"""Where the live page is served."""

from dataclasses import dataclass
from ipaddress import ip_address

from pvt_edge.errors import DataError

EXAMPLES = "127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080"


@dataclass(frozen=True)
class Address:
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can come in there."""
        if self.host == "localhost":
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
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise DataError(f"cannot serve at {text!r}: write an IPv6 address in brackets, such as [::1]:8080")
    if not port.isdecimal() or int(port) > 65535:
        raise DataError(f"cannot serve at {text!r}: the port must be 0 to 65535, as in {EXAMPLES}")
    if any(sign in host for sign in "/@? "):
        raise DataError(f"cannot serve at {text!r}: write a host and a port, such as {EXAMPLES}")
    return Address(host or "127.0.0.1", int(port))
