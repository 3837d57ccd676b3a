"""Why a network stream does not open, for its library hardly says; and whether its server is back."""

import http.client
import re
import socket
import ssl
from hashlib import md5
from urllib.parse import SplitResult, urlsplit

from pvt_edge.web_addresses import basic_authorization, encoded, is_broken, login_of, without_login

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
PROBE_S = 0.5  # that a server may take to accept
MOST_REPLY_BYTES = 65536
ENCODED = "signs such as / @ # in a user or password are written %2F %40 %23"


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


def why_not(address: str, timeout_s: float) -> str:
    """What stands between us and the stream, and the mend, after asking its server; names no secret."""
    try:
        parts = urlsplit(encoded(address))
        host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:  # whose text may hold a part of the password
        return f"the address is malformed; {ENCODED}"
    if not host:
        return "the address names no host; write it like rtsp://USER:PASSWORD@HOST:PORT/PATH"
    broken = is_broken(address)  # then what reads as the host may be the user
    place, hint = ("its host", f"; {ENCODED}") if broken else (f"{host}:{port}", "")
    try:
        if parts.scheme.startswith("http"):
            return _ask_http(parts, host, port, address, timeout_s)
        return _ask_rtsp(parts, host, port, address, timeout_s)
    except (socket.gaierror, UnicodeError):  # of the name alone: the rest of what is asked is ASCII
        return f"no host is known by the name {'***' if broken else host}; check the name, or give its IP address{hint}"
    except ConnectionRefusedError:
        return f"nothing listens on {place}; check the port, and that the camera's server is on{hint}"
    except TimeoutError:
        return f"{place} does not answer within {timeout_s:g} s; check the address, cable and firewall{hint}"
    except OSError as error:
        return f"{place} cannot be reached ({error.strerror or type(error).__name__}){hint}"
    except (http.client.HTTPException, ValueError) as error:  # whose text may hold the path with a token
        return f"{place} gives no answer that can be read ({type(error).__name__}); check the port and path{hint}"


def _ask_http(parts: SplitResult, host: str, port: int, address: str, timeout_s: float) -> str:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    login = login_of(address)
    headers = {"Authorization": basic_authorization(login)} if login else {}
    connection = kind(host, port, timeout=timeout_s)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        reply = connection.getresponse()
        return _verdict(reply.status, reply.reason, login, reply.headers.get_content_type())
    finally:
        connection.close()


def _ask_rtsp(parts: SplitResult, host: str, port: int, address: str, timeout_s: float) -> str:
    login, target = login_of(address), without_login(address)
    with socket.create_connection((host, port), timeout=timeout_s) as plain:
        stream: socket.socket = plain
        if parts.scheme == "rtsps":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # cameras sign their own
            stream = context.wrap_socket(plain, server_hostname=host)
        reply = _describe(stream, target, "", 1)
        challenge = re.search(r"^WWW-Authenticate:\s*(.+?)\s*$", reply, re.IGNORECASE | re.MULTILINE)
        if login and challenge and _status(reply)[0] == 401:
            reply = _describe(stream, target, _answer(challenge[1], login, target), 2)
    status, reason = _status(reply)
    if status == 0:
        return "what listens there does not answer in RTSP; check the port"
    codecs = ", ".join(dict.fromkeys(re.findall(r"a=rtpmap:\d+ ([\w-]+)", reply)))
    return _verdict(status, reason, login, codecs or "a stream without video")


def _describe(stream: socket.socket, target: str, authorization: str, number: int) -> str:
    line = f"Authorization: {authorization}\r\n" if authorization else ""
    stream.sendall(
        f"DESCRIBE {target} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n{line}\r\n".encode(
            "ascii", "replace"
        )
    )
    reply = b""
    while len(reply) < MOST_REPLY_BYTES:
        head, _, body = reply.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length:\s*(\d+)", head, re.IGNORECASE)
        if b"\r\n\r\n" in reply and len(body) >= int(length[1] if length else 0):
            break
        chunk = stream.recv(4096)
        if not chunk:
            break
        reply += chunk
    return reply.decode("utf-8", "replace")


def _status(reply: str) -> tuple[int, str]:
    found = re.match(r"RTSP/\d\.\d (\d{3}) ?([^\r\n]*)", reply)
    return (int(found[1]), found[2]) if found else (0, "")


def _answer(challenge: str, login: tuple[str, str], target: str) -> str:
    """The Authorization header for Basic, or for Digest with MD5 (RFC 2617 without qop, as RTSP uses it)."""
    if not challenge.lower().startswith("digest"):
        return basic_authorization(login)
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm, nonce = fields.get("realm", ""), fields.get("nonce", "")
    secret = _hash(f"{login[0]}:{realm}:{login[1]}")
    response = _hash(f"{secret}:{nonce}:{_hash(f'DESCRIBE:{target}')}")
    return f'Digest username="{login[0]}", realm="{realm}", nonce="{nonce}", uri="{target}", response="{response}"'


def _hash(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def _verdict(status: int, reason: str, login: tuple[str, str] | None, content: str) -> str:
    if refused := refusal(status, login):
        return refused
    if not 200 <= status < 300:
        return f"its server answers {status} {reason}"
    return f"its server answers, and gives {content}, in which there is no video that can be decoded here"


def refusal(status: int, login: tuple[str, str] | None) -> str | None:
    """What a server's status says against us, and the mend; None where it is of another kind."""
    if status in (401, 403) and login is None:
        return "it asks for a user and password: write USER:PASSWORD@ before the host"
    if status in (401, 403):
        return f"it refuses this user and password ({status}); check them; {ENCODED}"
    if status in (404, 454):
        return f"its server has no such stream ({status}); check the path after the host"
    return None
