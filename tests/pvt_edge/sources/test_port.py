"""A server is back when its port, which was closed, is open."""

import socket

import pytest

from pvt_edge.sources.diagnosis import Port

from .cameras import closed_port


def test_a_closed_port_that_opens_is_back_once():
    number = closed_port()
    port = Port(f"rtsp://me:secret@127.0.0.1:{number}/cam")
    assert [port.is_back(), port.is_back()] == [False, False]
    with socket.create_server(("127.0.0.1", number)):
        assert [port.is_back(), port.is_back()] == [True, False]


def test_a_port_that_was_open_all_the_time_is_left_alone():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = Port(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert [port.is_back(), port.is_back()] == [False, False]
        server.settimeout(0.05)
        server.accept()[0].close()
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_attempt_forgets():
    number = closed_port()
    port = Port(f"rtsp://127.0.0.1:{number}")
    assert not port.is_back()
    port.forget()
    with socket.create_server(("127.0.0.1", number)):
        assert not port.is_back()


def test_an_attempt_that_was_refused_counts_as_a_look():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = Port(f"rtsp://127.0.0.1:{server.getsockname()[1]}")
        port.forget()
        port.refused()
        assert [port.is_back(), port.is_back()] == [True, False]


@pytest.mark.parametrize("address", ["rtsp://", "rtsp://me:pa/ss@cam", "rtsp://[::1", "rtsp://no.such.host.invalid"])
def test_what_is_no_address_is_never_back(address):
    assert not Port(address).is_back()
