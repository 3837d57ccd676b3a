"""Web addresses as servers can be asked for them, and without their secrets, for logs, files and pages."""

import re
from base64 import b64encode
from string import punctuation
from urllib.parse import quote, unquote, urlsplit

USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
# a password with a slash in it ends what looks like the host early, and one with a blank what looks like the address:
# rtsp://user:12/34@camera/1; so does an address whose scheme is cut short: rtsp:/user:1234@camera
BROKEN_USER_INFO = re.compile(r"^(\w+:/{0,2}(?!/))?[^/:@]+:.*@", re.DOTALL)
SECRET_KEY = re.compile(
    r"((?:^|[?&;/_,])(?:\w*(?:passw(?:or)?d?|pwd|token|secret|signature)\w*|user(?:name)?|login|api_?key|key|auth|sig)=)"
    r"(?:(?!_[a-z]\w*=)[^&;/?#])*",  # some cameras part what follows by a _
    re.IGNORECASE,
)


def redact(address: str) -> str:
    """The address with user names, passwords and secret-looking parameters replaced.

    >>> redact("rtsp://admin:1234@10.0.0.7:554/live?token=abc&channel=1")
    'rtsp://***@10.0.0.7:554/live?token=***&channel=1'
    """
    hidden = USER_INFO.sub("***@", address, count=1)
    if hidden == address:
        hidden = BROKEN_USER_INFO.sub(r"\1***@", address, count=1)
    return SECRET_KEY.sub(r"\1***", hidden) if "://" in hidden else hidden


def is_broken(address: str) -> bool:
    """Whether a user or password seems to reach beyond the first / of the address: such are read as its host."""
    return not USER_INFO.search(address) and BROKEN_USER_INFO.match(address) is not None


def login_of(address: str) -> tuple[str, str] | None:
    """(user, password) that the address carries, decoded; None without."""
    parts = urlsplit(address)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def basic_authorization(login: tuple[str, str]) -> str:
    """The Authorization header of (user, password)."""
    return f"Basic {b64encode(':'.join(login).encode()).decode()}"


def without_login(address: str) -> str:
    """The address as a server is asked for it: without user and password."""
    return USER_INFO.sub("", address, count=1)


def encoded(address: str) -> str:
    """The address with blanks and letters beyond ASCII in its path and query encoded; what is encoded already stays.

    >>> encoded("http://camera/Küche 1.jpg?at=%20")
    'http://camera/K%C3%BCche%201.jpg?at=%20'
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # who asks will be told
        return address
    path, query = (quote(text, safe=punctuation, errors="surrogateescape") for text in (parts.path, parts.query))
    return parts._replace(path=path, query=query).geturl()
