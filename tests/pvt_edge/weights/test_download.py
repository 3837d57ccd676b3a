"""Downloads from a server that cuts, stalls, lies and refuses."""

import gzip
import random
import socket

import pytest

from pvt_edge.weights.download import DownloadError, Patience, discard, download, mirrored, shown_address

from .server import Answer

HASTY = Patience(connect_s=2, stall_s=0.3, tries=3, first_wait_s=0.01)
BODY = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(250_000)


@pytest.fixture
def part(tmp_path):
    return tmp_path / "file.pth.part"


def refusal(url, part) -> str:
    with pytest.raises(DownloadError) as caught:
        download(url, part, patience=HASTY)
    return str(caught.value)


@pytest.mark.parametrize("body", [b"", b"x", BODY], ids=len)
def test_whole_file(server, part, body):
    told = []
    url = server.give("/file.pth", Answer(body))
    assert download(url, part, patience=HASTY, progress=lambda *state: told.append(state)) is None
    assert part.read_bytes() == body
    assert server.headers_of("Accept-Encoding") == ["identity"]
    assert server.headers_of("Range") == [None]
    assert not told or told[-1] == (url, len(body), len(body))
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})


def test_a_cut_download_goes_on_where_it_was_cut(server, part):
    url = server.give("/file.pth", Answer(BODY, cut=200_000), Answer(BODY))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY
    (first, second), (_, tag) = server.headers_of("Range"), server.headers_of("If-Range")
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 200_000
    assert tag == '"one"'


def test_a_later_call_goes_on_too(server, part):
    url = server.give("/file.pth", Answer(BODY, cut=200_000))
    with pytest.raises(DownloadError, match="the server ended 100000 bytes too early"):
        download(url, part, patience=Patience(tries=1))
    assert 0 < part.stat().st_size < len(BODY)
    server.give("/file.pth", Answer(BODY))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY
    assert server.headers_of("Range")[-1] is not None


def test_a_date_serves_where_there_is_no_tag(server, part):
    date = "Tue, 31 Aug 2021 10:31:57 GMT"
    url = server.give("/f", Answer(BODY, cut=200_000, etag=None, headers={"Last-Modified": date}), Answer(BODY))
    download(url, part, patience=HASTY)
    assert server.headers_of("If-Range") == [None, date]
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    ("second", "asks"),
    [
        (Answer(BODY, ranges=False), True),
        (Answer(OTHER, etag='"two"'), True),
        (Answer(BODY, etag='W/"one"'), False),
        (Answer(BODY, etag=None), False),
    ],
    ids=["ignores Range", "another file by now", "weak tag", "no tag"],
)
def test_what_cannot_be_resumed_starts_anew(server, part, second, asks):
    first = Answer(BODY, cut=200_000, etag=second.etag if not asks else '"one"')
    url = server.give("/file.pth", first, second)
    download(url, part, patience=HASTY)
    assert part.read_bytes() == second.body
    assert (server.headers_of("Range")[1] is not None) == asks


def test_a_wrong_range_is_not_pasted_in(server, part):
    url = server.give("/file.pth", Answer(BODY, cut=200_000), Answer(BODY, shift=7), Answer(BODY))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY
    assert server.headers_of("Range")[2] is None


def test_the_rest_of_another_file_is_not_pasted_in(server, part):
    other = random.Random(3).randbytes(len(BODY))
    second = Answer(other, etag='"two"', careless=True)  # gives the rest of whatever lies there now
    url = server.give("/file.pth", Answer(BODY, cut=200_000), second)
    download(url, part, patience=HASTY)
    assert part.read_bytes() == other
    assert server.headers_of("Range")[2] is None


def test_a_range_shorter_than_was_asked_for(server, part):
    url = server.give("/file.pth", Answer(BODY, cut=200_000), Answer(BODY, most=60_000))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY
    assert len(server.requests) == 3


def crash_at(part):
    """`Path.open`, but the process is as good as dead where `part` is opened."""
    honest = type(part).open

    def opened(self, *arguments, **named):
        if self == part:
            raise OSError("crashed")
        return honest(self, *arguments, **named)

    return opened


def test_a_crash_leaves_no_old_bytes_under_a_new_note(server, part, monkeypatch):
    url = server.give("/file.pth", Answer(BODY, cut=200_000))
    with pytest.raises(DownloadError):
        download(url, part, patience=Patience(tries=1))
    server.give("/file.pth", Answer(OTHER, etag='"two"'))
    with monkeypatch.context() as crashing:
        crashing.setattr(type(part), "open", crash_at(part))
        with pytest.raises(OSError, match="crashed"):
            download(url, part, patience=HASTY)
    download(url, part, patience=HASTY)
    assert part.read_bytes() == OTHER


@pytest.mark.parametrize("note", [b"\xff\xfe", b'"e"\n', b" ", b"once upon a time", b""])
def test_a_damaged_note_is_no_note(server, part, note):
    part.write_bytes(BODY[:100_000])
    part.with_name(f"{part.name}.etag").write_bytes(note)
    download(server.give("/file.pth", Answer(BODY)), part, patience=HASTY)
    assert part.read_bytes() == BODY
    assert server.headers_of("Range") == [None]


@pytest.mark.parametrize("told", [True, False], ids=["its length told", "not told"])
def test_a_body_packed_against_our_wish(server, part, told):
    packed = gzip.compress(BODY[:50_000] * 3)
    headers = {"Content-Encoding": "gzip", **({} if told else {"Connection": "close"})}
    url = server.give("/file.pth", Answer(packed, headers=headers))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY[:50_000] * 3
    assert len(server.requests) == 1


def test_a_part_that_is_whole_already(server, part):
    url = server.give("/file.pth", Answer(BODY))
    download(url, part, patience=HASTY)
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY
    assert server.headers_of("Range")[1] == f"bytes={len(BODY)}-"


def test_a_part_longer_than_the_file(server, part):
    url = server.give("/file.pth", Answer(BODY))
    download(url, part, patience=HASTY)
    server.give("/file.pth", Answer(BODY[:1000]))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY[:1000]


def test_a_long_download_may_be_cut_often_as_long_as_it_grows(server, part):
    body = random.Random(2).randbytes(5 << 20)
    url = server.give("/file.pth", Answer(body, cut=3 << 19))
    download(url, part, patience=Patience(tries=2, first_wait_s=0.01))
    assert part.read_bytes() == body
    assert len(server.requests) >= 4


def test_a_server_that_promises_more_than_it_gives(server, part):
    url = server.give("/file.pth", Answer(BODY, length=len(BODY) + 50, ranges=False))
    assert refusal(url, part) == "the server ended 50 bytes too early"
    assert len(server.requests) == HASTY.tries


def test_a_stall_is_not_waited_for(server, part):
    url = server.give("/file.pth", Answer(BODY, stall=200_000), Answer(BODY))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY
    server.give("/file.pth", Answer(BODY, stall=0))
    discard(part)
    assert refusal(url, part) == "nothing arrived for 0.3 s"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_taken_at_once(server, part, status):
    url = server.give("/file.pth", Answer(status=status))
    assert refusal(url, part).startswith(f"the server answered {status}")
    assert len(server.requests) == 1


def test_trouble_that_passes(server, part):
    url = server.give("/file.pth", Answer(status=500), Answer(status=503), Answer(BODY))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    ("said", "least"), [("7", 7.0), ("9999", 60.0), ("soon", 0.01), ("Tue, 31 Dec 2199 23:59:59 GMT", 60.0)]
)
def test_a_server_may_say_when_to_come_again(server, part, monkeypatch, said, least):
    waits = []
    monkeypatch.setattr("pvt_edge.weights.download.time.sleep", waits.append)
    url = server.give("/file.pth", Answer(status=429, headers={"Retry-After": said}), Answer(BODY))
    download(url, part, patience=HASTY)
    assert waits == [least]


def test_trouble_that_stays(server, part):
    url = server.give("/file.pth", Answer(status=500))
    assert refusal(url, part) == "the server answered 500 Internal Server Error"
    assert len(server.requests) == HASTY.tries


def test_a_redirect_is_followed_and_may_tell_the_hash(server, part):
    told = "0123456789abcdef" * 4
    target = server.give("/cdn/blob", Answer(BODY, cut=200_000), Answer(BODY))
    headers = {"Location": target, "X-Linked-ETag": f'"{told}"'}
    url = server.give("/file", Answer(status=302, headers=headers))
    assert download(url, part, patience=HASTY) == told
    assert part.read_bytes() == BODY
    assert server.requests[-1][1]["Range"]


def test_redirects_in_a_circle(server, part):
    url = server.give("/a", Answer(status=302, headers={"Location": "/a"}))
    assert "redirects" in refusal(url, part)


@pytest.mark.parametrize("place", ["http://[bad/", "http://.example.com/", f"http://{'x' * 70}.example/", "ftp://a/b"])
def test_a_redirect_to_no_address(server, part, place):
    told = refusal(server.give("/a", Answer(status=302, headers={"Location": place})), part)
    assert "\n" not in told


def test_a_missing_file_of_authorities_is_no_fault_of_the_cache(part, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    assert "/no/such.pem" in refusal("https://127.0.0.1:9/file.pth", part)


def test_nobody_there(part):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/file.pth"
        assert refusal(url, part) == "Connection refused"
    assert not part.exists()


def test_no_such_host(part):
    told = refusal("http://nowhere.invalid/file.pth", part)
    assert "\n" not in told
    assert "HTTPConnectionPool" not in told


def test_the_proxy_of_the_environment(server, part, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    server.give("http://weights.invalid/file.pth", Answer(BODY))
    download("http://weights.invalid/file.pth", part, patience=HASTY)
    assert part.read_bytes() == BODY
    assert [path for path, _ in server.requests] == ["http://weights.invalid/file.pth"]


def test_no_proxy_where_none_is_wanted(server, part, monkeypatch):
    url = server.give("/file.pth", Answer(BODY))
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    assert refusal(url, part).startswith("the proxy failed: ")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY


def test_mirror(server, part, monkeypatch):
    url = "https://example.com/releases/v2/file.pth"
    assert mirrored(url) == url
    monkeypatch.setenv("PVT_EDGE_MIRROR", f"{server.url}/mirror/")
    server.give("/mirror/example.com/releases/v2/file.pth", Answer(BODY))
    download(url, part, patience=HASTY)
    assert part.read_bytes() == BODY
    for wrong in ("mirror.lan", "http://[bad", "http:///releases"):
        monkeypatch.setenv("PVT_EDGE_MIRROR", wrong)
        assert f"PVT_EDGE_MIRROR is '{wrong}'" in refusal(url, part)


def test_the_login_of_a_mirror_is_told_to_nobody_else(server, part, monkeypatch):
    monkeypatch.setenv("PVT_EDGE_MIRROR", server.url.replace("://", "://me:hush@"))
    server.give("/example.com/file.pth", Answer(BODY))
    told = []
    download("https://example.com/file.pth", part, patience=HASTY, progress=lambda *state: told.append(state))
    assert server.headers_of("Authorization") == ["Basic bWU6aHVzaA=="]
    assert told[-1][0] == f"{server.url}/example.com/file.pth" == shown_address("https://example.com/file.pth")
