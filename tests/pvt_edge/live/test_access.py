"""Who gets in: everybody on this machine, nobody without the token elsewhere."""

import http.client
import socket
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

import pytest

from pvt_edge.errors import DataError

from .conftest import TOKEN

PATHS = ("/", "/script.js", "/api/status", "/api/history/0", "/stream/0", "/snapshot/0.jpg", "/healthz", "/metrics")


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def ask(url: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    try:
        with build_opener(_Stay).open(Request(url, headers=headers), timeout=5) as reply:
            return reply.status, reply.headers, b"" if "/stream/" in url else reply.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "camera.local:8080"])
@pytest.mark.parametrize("token", [None, ""])
def test_an_address_that_others_reach_needs_a_token(open_page, address, token):
    with pytest.raises(DataError, match="PVT_EDGE_TOKEN"):
        open_page(address, token=token)


def test_a_short_token_is_refused_and_not_told(open_page):
    with pytest.raises(DataError, match="12 characters or more, not 8") as caught:
        open_page(token="12345678")
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_the_token(open_page, streams, path):
    page = open_page("0.0.0.0:0", token=TOKEN)
    page.write(streams.result(1))
    url = page.url.replace("0.0.0.0", "127.0.0.1").rstrip("/") + path
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"pvt_edge_{urlsplit(url).port}={TOKEN}"}):
        status, told, body = ask(url, **headers)
        assert status == (303 if path == "/" else 401), headers
        assert b"camera" not in body
        assert path != "/" or told["Location"] == "/login"
    assert ask(f"{url}?token=wrong")[0] in (303, 401)


@pytest.mark.parametrize("path", PATHS)
def test_the_token_opens_everything(open_page, streams, path):
    page = open_page("0.0.0.0:0", token=TOKEN)
    page.write(streams.result(1))
    url = page.url.replace("0.0.0.0", "127.0.0.1").rstrip("/") + path
    assert ask(url, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask(f"{url}?{urlencode({'token': TOKEN})}")[0] == 200


def test_logging_in_gives_a_cookie_that_is_not_the_token(open_page):
    page = open_page(token=TOKEN)
    form = urlencode({"token": TOKEN}).encode()
    with pytest.raises(HTTPError) as caught:
        build_opener(_Stay).open(Request(f"{page.url}login", form), timeout=5)
    with caught.value as error:
        assert (error.code, error.headers["Location"]) == (303, "/")
        cookie = error.headers["Set-Cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ask(f"{page.url}api/status", Cookie=cookie.partition(";")[0])[0] == 200


def test_the_end_of_a_line_is_no_part_of_a_token(open_page):
    page = open_page(token=f"{TOKEN}\n")  # as it comes from a file
    assert ask(f"{page.url}api/status", Authorization=f"Bearer {TOKEN}")[0] == 200
    with urlopen(f"{page.url}login", urlencode({"token": TOKEN}).encode(), timeout=5) as reply:
        assert reply.status == 200
    with pytest.raises(DataError, match="12 characters or more, not 0"):
        open_page(token=" " * 12)


def test_a_wrong_token_shows_the_form_again(open_page):
    page = open_page(token=TOKEN)
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{page.url}login", urlencode({"token": "wrong"}).encode(), timeout=5)
    with caught.value as error:
        assert error.code == 401
        assert b'action="/login"' in error.read()


@pytest.mark.parametrize(
    "header",
    [
        "Cookie: pvt_edge_PORT=\xe9",
        "Cookie: pvt_edge_PORT=\xc3\xa9",
        'Cookie: pvt_edge_PORT="\\351"',
        "Authorization: Bearer \xe9",
        "Authorization: Bearer \xc3\xa9",
    ],
)
def test_what_is_no_text_opens_nothing(open_page, caplog, header):
    page = open_page(token=TOKEN)
    port = urlsplit(page.url).port
    asked = f"GET /api/status HTTP/1.1\r\nHost: localhost\r\n{header.replace('PORT', str(port))}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(asked.encode("latin-1"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert ask(f"{page.url}api/status?token=%ED%B3%A9")[0] == 401
    assert caplog.text == ""


@pytest.mark.parametrize("charset", ["utf-8", "none"])
@pytest.mark.parametrize("form", [b"token=\xe9", b"token=%E9", b"\xff\xfe"])
def test_a_form_that_is_no_text_is_a_wrong_one(open_page, caplog, form, charset):
    page = open_page(token=TOKEN)
    headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(f"{page.url}login", form, headers), timeout=5)
    with caught.value as error:
        assert error.code == 401
    assert caplog.text == ""


def test_another_sites_name_for_this_machine_is_refused(page):
    port = urlsplit(page.url).port
    assert ask(f"{page.url}api/status", Host=f"evil.example:{port}")[0] == 421
    for name in ("localhost", "127.0.0.1", "[::1]"):
        assert ask(f"{page.url}api/status", Host=f"{name}:{port}")[0] == 200


def test_scripts_of_other_sites_find_no_way_in(page):
    headers = ask(page.url)[1]
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
