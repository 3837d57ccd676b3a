"""Whether a server that was away is back, asked without a whole attempt to connect."""

import socket
from urllib.parse import urlsplit

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
PROBE_S = 0.5  # that a server may take to accept


class Port:
    """The port that the server of `address` listens on."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._listens: bool | None = None  # None: not asked since `forget`

    def forget(self) -> None:
        """An attempt to connect begins: what was seen before counts no more."""
        self._listens = None

    def refused(self) -> None:
        """An attempt found it closed: open from now on is back."""
        self._listens = False

    def is_back(self) -> bool:
        """Whether the port was closed when last asked, and is open. A server that listens is not asked again: only
        an attempt can tell what it has to say, and those keep to the back-off.
        """
        if self._listens:
            return False
        before, self._listens = self._listens, self._accepts()
        return self._listens and before is False

    def _accepts(self) -> bool:
        try:
            parts = urlsplit(self._address)
            port = parts.port or PORTS[parts.scheme]
            with socket.create_connection((parts.hostname or "", port), timeout=PROBE_S):
                return True
        except (OSError, ValueError):
            return False
