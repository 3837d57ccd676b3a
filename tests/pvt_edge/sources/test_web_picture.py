"""A picture on a web server."""

import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.sources import SourceOptions, open_source
from pvt_edge.sources import web_picture as module
from pvt_edge.sources.pages import find_pages

from .cameras import MjpegCamera, SilentHost, numbered_jpeg

GREY = cv2.imencode(".png", np.full((20, 30), 77, np.uint8))[1].tobytes()


@pytest.mark.parametrize("path", ["/x.png", "/x.JPG", "/a%20b/x.webp", "/snapshot.cgi", "/snapshot"])
def test_a_picture_is_one_frame(path):
    with MjpegCamera(files={path: GREY}) as camera, open_source(f"http://{camera.host}{path}") as source:
        (frame,) = source
    assert (source.live, source.frame_count, frame.image.shape) == (False, 1, (20, 30, 3))
    assert (frame.image == 77).all()


@pytest.mark.parametrize("name", ["a b.png?token=secret", "K\u00fcche.png?token=secret", "b\udce9.png?token=secret"])
def test_blanks_and_letters_in_an_address_are_sent_encoded(name):
    path = f"/{quote(name, safe='?=', errors='surrogateescape')}"
    with MjpegCamera(files={path: GREY}) as camera, open_source(f"http://{camera.host}/{name}") as source:
        assert len(list(source)) == 1
    with pytest.raises(DataError, match="nothing listens") as caught:
        open_source(f"http://{camera.host}/{name}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("says", "why"),
    [(b"SSH-2.0-OpenSSH_9.2\r\n", r"no answer that can be read \(BadStatusLine\)"), (b"\r\n", "no answer that can be")],
)
def test_a_server_of_another_kind_is_told(says, why):
    with SilentHost(says) as host, pytest.raises(DataError, match=why) as caught:
        open_source(f"http://127.0.0.1:{host.port}/x.png?token=secret", SourceOptions(stall_s=1))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["[::1", "me:secret\u2100@camera", "camera:port", "ca mera"])
def test_a_malformed_address_is_told(host):
    with pytest.raises(DataError, match=r"malformed|no answer that can be read") as caught:
        open_source(f"http://{host}/x.png?token=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", ["/x.png?token=abc", "/snapshot"])
def test_what_is_odd_with_a_picture_is_told(path):
    dark = cv2.imencode(".png", np.full((20, 30), 900, np.uint16))[1].tobytes()
    odd = cv2.imencode(".jpg", np.full((20, 30, 3), 77, np.uint8))[1].tobytes()[:-2] + bytes(9) + b"\xff\xd9"
    for data, words in ((dark, "16 bits go no higher than 900"), (odd, "damaged at its end")):
        with (
            MjpegCamera(files={path: data}) as camera,
            pytest.warns(PictureWarning, match=words) as told,
            open_source(f"http://{camera.host}{path}") as source,
        ):
            assert len(list(source)) == 1
        assert "abc" not in str(told[0].message)
    with MjpegCamera(files={path: dark}) as camera:  # a warning would be an error
        assert len(list(open_source(f"http://{camera.host}{path}", SourceOptions(pixel_max=1023)))) == 1


def test_every_page_of_a_stack_is_a_frame_and_one_cut_short_is_told(tmp_path):
    path = tmp_path / "a.tif"
    assert cv2.imwritemulti(str(path), [np.full((20, 30, 3), grey, np.uint8) for grey in (40, 120, 200)])
    data = path.read_bytes()
    files = {"/whole.tif": data, "/cut.tif": data[: find_pages(np.frombuffer(data, np.uint8)).offsets[2][0]]}
    with MjpegCamera(files=files) as camera:
        with open_source(f"http://{camera.host}/whole.tif") as source:
            assert [(frame.page, int(frame.image[0, 0, 0])) for frame in source] == [(1, 40), (2, 120), (3, 200)]
        assert source.skipped == []
        with open_source(f"http://{camera.host}/cut.tif") as source:
            assert [frame.page for frame in source] == [1, 2]
        (line,) = source.skipped
    assert line.endswith("cut.tif: the TIFF file is cut short after page 2")


def test_a_camera_that_streams_from_such_an_address_is_a_stream():
    jpegs = [numbered_jpeg(number) for number in range(5)]
    with MjpegCamera(jpegs) as camera, open_source(f"{camera.address}.jpg") as source:
        assert source.live
        assert len(list(source)) == 5


def test_secrets_are_sent_and_not_shown():
    asked = "Basic " + b64encode(b"me:p@ss").decode()
    with MjpegCamera(files={"/x.png?token=abc": GREY}, authorization=asked) as camera:
        (frame,) = (source := open_source(f"http://me:p%40ss@{camera.host}/x.png?token=abc"))
        assert source.name == f"http://***@{camera.host}/x.png?token=***"
        assert frame.path == f"http://***@{camera.host}/x.png"
        with pytest.raises(DataError, match=r"refuses this user and password \(401\)") as caught:
            open_source(f"http://me:other@{camera.host}/x.png?token=abc")
        assert "other" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"<html>hello</html>", "no picture, its server calls it"), (GREY[:40], "x.png: ")],
    ids=["a page", "cut"],
)
def test_what_is_no_picture_is_told(data, why):
    with MjpegCamera(files={"/x.png": data}) as camera, pytest.raises(DataError, match=why):
        list(open_source(f"http://{camera.host}/x.png"))


def test_a_transfer_that_breaks_off_is_told():
    chunk = b"%x\r\n" % len(GREY) + GREY[:20]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    with SilentHost(head + chunk) as host, pytest.raises(DataError, match=r"x.png: it broke off after 0 KiB \(Time"):
        open_source(f"http://127.0.0.1:{host.port}/x.png", SourceOptions(stall_s=0.5))


def test_what_is_not_there_is_told():
    with MjpegCamera(status=404) as camera, pytest.raises(DataError, match=r"no such picture \(404\)"):
        open_source(f"http://{camera.host}/x.png")
    with pytest.raises(DataError, match="nothing listens"):
        open_source("http://127.0.0.1:9/x.png", SourceOptions(stall_s=1))


def test_a_picture_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    with MjpegCamera(files={"/x.png": GREY}) as camera, pytest.raises(DataError, match="larger than"):
        open_source(f"http://{camera.host}/x.png")


def test_a_login_does_not_follow_to_another_host():
    asked = "Basic " + b64encode(b"me:secret").decode()
    with (
        MjpegCamera(files={"/x.png": GREY}, authorization=asked) as other,
        Redirecting(f"http://{other.host}/x.png") as first,
        pytest.raises(DataError, match=r"\(401\)"),
    ):
        open_source(f"http://me:secret@{first.host}/x.png")
    with MjpegCamera(files={"/x.png": GREY}) as other, Redirecting(f"http://{other.host}/x.png") as first:
        assert len(list(open_source(f"http://{first.host}/x.png"))) == 1


class Redirecting:
    """A server that sends everyone elsewhere."""

    def __init__(self, target):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
