"""Addresses as they are written, and those that are none."""

import pytest

from pvt_edge.errors import DataError
from pvt_edge.live import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address", "loopback", "url"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080), True, "http://127.0.0.1:8080/"),
        ("8080", Address("127.0.0.1", 8080), True, "http://127.0.0.1:8080/"),
        (":0", Address("127.0.0.1", 0), True, "http://127.0.0.1:0/"),
        ("localhost:80", Address("localhost", 80), True, "http://localhost:80/"),
        ("LocalHost:80", Address("LocalHost", 80), True, "http://LocalHost:80/"),
        ("127.9.9.9:80", Address("127.9.9.9", 80), True, "http://127.9.9.9:80/"),
        ("[::1]:8080", Address("::1", 8080), True, "http://[::1]:8080/"),
        ("0.0.0.0:8080", Address("0.0.0.0", 8080), False, "http://0.0.0.0:8080/"),
        ("[::]:8080", Address("::", 8080), False, "http://[::]:8080/"),
        ("camera.local:8080", Address("camera.local", 8080), False, "http://camera.local:8080/"),
    ],
)
def test_an_address_is_read(text, address, loopback, url):
    found = parse_address(text)
    assert (found, found.loopback, found.url) == (address, loopback, url)


@pytest.mark.parametrize(
    "text", ["", "host:", "host:http", "127.0.0.1:65536", "127.0.0.1:-1", "::1:8080", "http://a:80"]
)
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(DataError, match=r"cannot serve at .*\[::1\]:8080"):
        parse_address(text)


@pytest.mark.parametrize("text", ["[::1]", "[::1]:", "localhost", "0.0.0.0"])
def test_a_port_that_is_missing_is_told(text):
    with pytest.raises(DataError, match="the port must be 0 to 65535"):
        parse_address(text)
