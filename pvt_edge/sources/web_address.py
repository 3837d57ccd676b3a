"""A web address as its server can be asked for it."""

from string import punctuation
from urllib.parse import quote, urlsplit


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
