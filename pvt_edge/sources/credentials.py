"""Addresses without their secrets, for logs, files and pages."""

import re
from urllib.parse import unquote, urlsplit

USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
# a password with a slash in it ends what looks like the host early: rtsp://user:pa/ss@camera/1
BROKEN_USER_INFO = re.compile(r"(?<=://)[^/\s:@]+:(?!\d{1,5}(?:[/?#]|$))[^\s]*@")
SECRET_KEY = re.compile(
    r"((?:^|[?&;/_,])(?:\w*(?:passw(?:or)?d?|pwd|token|secret|signature)\w*|user(?:name)?|login|api_?key|key|auth|sig)=)[^&;/_?#\s]*",
    re.IGNORECASE,
)


def redact(address: str) -> str:
    """The address with user names, passwords and secret-looking parameters replaced.

    >>> redact("rtsp://admin:1234@10.0.0.7:554/live?token=abc&channel=1")
    'rtsp://***@10.0.0.7:554/live?token=***&channel=1'
    """
    if "://" not in address:
        return address
    hidden = USER_INFO.sub("***@", address, count=1)
    if hidden == address:
        hidden = BROKEN_USER_INFO.sub("***@", address, count=1)
    return SECRET_KEY.sub(r"\1***", hidden)


def login_of(address: str) -> tuple[str, str] | None:
    """(user, password) that the address carries, decoded; None without."""
    parts = urlsplit(address)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def without_login(address: str) -> str:
    """The address as a server is asked for it: without user and password."""
    return USER_INFO.sub("", address, count=1)
