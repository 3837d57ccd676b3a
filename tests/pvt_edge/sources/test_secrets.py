"""No way in which a source fails tells its password: not the error, its traceback, the log, the name, the terminal."""

import logging
import traceback

import pytest

from pvt_edge.errors import PvtEdgeError
from pvt_edge.sources import SourceOptions, open_source
from pvt_edge.streams.runner import open_sources

from .cameras import MjpegCamera, RtspCamera, SilentHost, closed_port

SECRETS = ("s3cr", "et99", "tok3n")
OPTIONS = SourceOptions(stall_s=0.3)


@pytest.fixture
def terminal(capfd, caplog):
    """What was written and logged, at every level, by us and by the libraries below."""
    caplog.set_level(logging.DEBUG)
    return lambda: "".join((*capfd.readouterr(), caplog.text))


def all_that_is_told(spec, connect=True):
    """The error of a source that must fail, as a user with --debug sees it."""
    try:
        source = open_source(spec, OPTIONS, connect=False)
        told = source.name
        source.connect()
    except PvtEdgeError as error:
        return "".join(traceback.format_exception(error))
    source.close()
    pytest.fail(f"opened: {told}")


def assert_secret(*texts):
    for text in texts:
        for secret in SECRETS:
            assert secret not in text
            assert "czNjcmV0OTk" not in text  # as Basic encodes it


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://s3cr:et99@127.0.0.1:{port}/cam?token=tok3n",
        "rtsps://s3cr:et99@127.0.0.1:{port}/cam?token=tok3n",
        "http://s3cr:et99@127.0.0.1:{port}/cam?token=tok3n",
        "https://s3cr:et99@127.0.0.1:{port}/cam?token=tok3n",
        "http://s3cr:et99@127.0.0.1:{port}/ca m?token=tok3n",
        "http://s3cr:et99@127.0.0.1:{port}/ca\u00e4m?token=tok3n",
        "rtsp://s3cr:et99@no.such.host.invalid/cam",
        "rtsp://s3cr:et99@/cam",
        "rtsp://s3cr:et99@[::1/cam",
        "rtsp://s3cr:et99@127.0.0.1:99999/cam",
        "rtsp://s3cr:et99@127.0.0.1:port/cam",
        "rtsp://s3cr:et/99@127.0.0.1:{port}/cam".replace("et/99", "et99/x"),
        "rtsp://s3cr.invalid:12/et99@127.0.0.1:{port}/cam",
        "rtsp://s3cr:et99 @127.0.0.1:{port}/cam",
        "rtsp://s3cr:et99\0@127.0.0.1:{port}/cam",
        "rstp://s3cr:et99@cam/1",
        "csi://s3cr:et99@0",
        "csi://0?password=et99",
        "synthetic://s3cr:et99@cells",
        "rtsp:/s3cr:et99@cam/1",
        "s3cr:et99@cam/1",
        "s3cr:et9*et99@cam/1",
    ],
)
def test_addresses_that_fail(address, terminal):
    told = all_that_is_told(address.format(port=closed_port()))
    assert_secret(told, terminal())


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize("says", [b"", b"RTSP/1.0 401 Unauthorized\r\n\r\n", b"HTTP/1.0 500 Oh\r\n\r\n", b"\xff" * 99])
def test_servers_that_say_something_else(scheme, says, terminal):
    with SilentHost(says) as host:
        told = all_that_is_told(f"{scheme}://s3cr:et99@127.0.0.1:{host.port}/cam?token=tok3n")
    assert_secret(told, terminal())


@pytest.mark.parametrize("how", [(), ("--digest",)])
def test_a_login_that_is_refused(how, terminal):
    with RtspCamera(*how, login="me:other") as camera:
        told = all_that_is_told(camera.address.replace("me:other", "s3cr:et99"))
    assert_secret(told, terminal())


def test_a_page_that_is_no_stream(terminal):
    with MjpegCamera(files={"/": b"x" * 999}) as camera:
        told = all_that_is_told(f"http://s3cr:et99@{camera.host}/")
    assert_secret(told, terminal())


def test_sources_that_are_opened_together(terminal):
    specs = [f"rtsp://s3cr:et99@127.0.0.1:{closed_port()}/{i}" for i in range(2)]
    with pytest.raises(PvtEdgeError) as caught, open_sources(specs, OPTIONS):
        pass
    one = ["synthetic://cells?width=64&height=64", specs[0]]
    with open_sources(one, OPTIONS) as sources:
        names = [source.name for source in sources]
    assert_secret(str(caught.value), *names, terminal())
