"""Why a stream does not open, told in one line with the mend."""

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import SourceOptions, open_source
from pvt_edge.sources.diagnosis import why_not

from .cameras import SilentHost, closed_port


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_host_that_never_answers(scheme):
    with SilentHost() as host, pytest.raises(DataError) as caught:
        open_source(f"{scheme}://127.0.0.1:{host.port}/cam", SourceOptions(stall_s=0.4))
    assert str(caught.value) == (
        f"cannot open {scheme}://127.0.0.1:{host.port}/cam: 127.0.0.1:{host.port} does not answer within 0.4 s; "
        "check the address, cable and firewall"
    )


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_port_where_nothing_listens(scheme):
    port = closed_port()
    with pytest.raises(DataError, match=rf"nothing listens on 127.0.0.1:{port}; check the port, and that the camera's"):
        open_source(f"{scheme}://127.0.0.1:{port}/cam")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("rtsp://no.such.host.invalid/1", "no host is known by the name no.such.host.invalid"),
        ("rtsp://" + "a" * 70 + ".invalid/1", "no host is known by the name aaaa"),
        ("rtsp:///1", "the address names no host"),
        ("rtsp://me:secret@/1", "the address names no host"),
        ("rtsp://me:pa/ss@cam/1", "the address is malformed; signs such as / @ # in a user or password are written"),
        ("rtsp://[::1/1", "the address is malformed"),
        ("rtsp://cam:99999/1", "the address is malformed"),
        ("rtsp://no.such.user.invalid:12/34@cam/1", r"known by the name \*\*\*; .*are written %2F"),
    ],
)
def test_addresses_that_lead_nowhere(address, why):
    with pytest.raises(DataError, match=why) as caught:
        open_source(address, SourceOptions(stall_s=2))
    assert "34" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("says", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_that_speaks_another_language(says):
    with SilentHost(says) as host:
        why = why_not(f"rtsp://127.0.0.1:{host.port}/cam", 1.0)
    assert why == "what listens there does not answer in RTSP; check the port"


def test_an_answer_without_an_end_is_cut():
    with SilentHost(b"RTSP/1.0 200 OK\r\n" + b"X: " + b"x" * 200_000) as host:
        assert "in which there is no video" in why_not(f"rtsp://127.0.0.1:{host.port}/cam", 2.0)


@pytest.mark.parametrize(
    ("codecs", "told"),
    [
        ((), "a stream without video"),
        (("PCMU/8000",), "PCMU"),
        (("H266/90000", "PCMU/8000", "PCMU/16000"), "H266, PCMU"),
    ],
)
def test_a_stream_of_another_codec_says_which(codecs, told):
    lines = "".join(f"m=video 0 RTP/AVP {96 + i}\r\na=rtpmap:{96 + i} {codec}\r\n" for i, codec in enumerate(codecs))
    body = f"v=0\r\n{lines}".encode()
    with SilentHost(b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as host:
        why = why_not(f"rtsp://127.0.0.1:{host.port}/cam", 1.0)
    assert why == f"its server answers, and gives {told}, in which there is no video that can be decoded here"
