"""The live page's server, asked as any program would."""

import json
import socket
import threading
import time
from dataclasses import replace
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pvt_edge.errors import DataError
from pvt_edge.streams.status import ENDED, FAILED, LOST, OPENING, RUNNING

from .conftest import RUNNING_STREAM, Streams


def get(url: str) -> bytes:
    with urlopen(url, timeout=5) as reply:
        return reply.read()


def status_of(url: str) -> tuple[int, dict]:
    try:
        with urlopen(url, timeout=5) as reply:
            return reply.status, json.load(reply)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


class Viewer:
    """Reads the multipart video of a stream, part by part."""

    def __init__(self, url: str) -> None:
        self._reply = urlopen(url, timeout=5)
        assert self._reply.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        assert self._reply.readline() == b"--frame\r\n"

    def next(self) -> tuple[int, np.ndarray]:
        """(frame id, picture)."""
        head = {}
        while (line := self._reply.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            head[name] = value
        jpeg = self._reply.read(int(head["Content-Length"]))
        assert self._reply.readline() == b"\r\n"
        assert self._reply.readline() == b"--frame\r\n"  # at once, and not with the next picture
        return int(head["X-Frame-Id"]), cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)

    def close(self) -> None:
        self._reply.close()


def wait_until(true, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_before_the_first_frame_there_is_no_picture(page):
    with pytest.raises(HTTPError) as caught:
        get(f"{page.url}snapshot/0.jpg")
    with caught.value as error:
        assert error.code == 503


def test_a_snapshot_is_the_newest_annotated_frame(page, streams):
    for frame, grey in enumerate((10, 200)):
        page.write(streams.result(frame, grey=grey))
    image = cv2.imdecode(np.frombuffer(get(f"{page.url}snapshot/0.jpg"), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (48, 64, 3)
    assert abs(int(image[40, 50].mean()) - 200) < 6
    assert image[8:25, 8:25].std() > 20  # the box is drawn


def test_a_stream_that_is_not_there_is_told(page):
    for path in ("stream/7", "snapshot/7.jpg", "api/history/7"):
        with pytest.raises(HTTPError) as caught:
            get(page.url + path)
        with caught.value as error:
            assert error.code == 404
            assert b"there is no stream 7; there are 1, from 0" in error.read()


def test_video_shows_each_frame_once_and_none_that_never_was(page, streams):
    viewer = Viewer(f"{page.url}stream/0")
    seen = []
    for frame in range(5):
        page.write(streams.result(frame, grey=40 * frame))
        seen.append(viewer.next())
    viewer.close()
    assert [frame for frame, _ in seen] == [0, 1, 2, 3, 4]
    for frame, image in seen:
        assert abs(int(image[40, 50].mean()) - 40 * frame) < 6


def test_a_viewer_that_comes_late_sees_the_newest_frame(page, streams):
    page.write(streams.result(0))
    get(f"{page.url}snapshot/0.jpg")  # encoded, and old by now
    page.write(streams.result(1))
    viewer = Viewer(f"{page.url}stream/0")
    assert viewer.next()[0] == 1
    viewer.close()


def test_a_picture_is_given_after_the_one_that_was_seen(page, streams, monkeypatch):
    monkeypatch.setattr("pvt_edge.live.routes.WAIT_S", 0.2)
    page.write(streams.result(40))
    page.write(streams.result(41))

    def ask(after: int) -> tuple[int, str | None, str | None]:
        with urlopen(f"{page.url}snapshot/0.jpg?after={after}", timeout=5) as reply:
            return reply.status, reply.headers["X-Number"], reply.headers["X-Frame-Id"]

    assert ask(0) == ask(1) == (200, "2", "41")
    assert ask(2) == (204, None, None)  # nothing newer came
    assert ask(900) == (200, "2", "41")  # it had watched a server before this one
    page.write(streams.result(50))
    assert ask(2) == (200, "3", "50")


def test_no_picture_is_drawn_while_nobody_watches(page, streams):
    result = streams.result(0)
    page.write(result)
    get(f"{page.url}api/status")
    assert "annotated" not in vars(result)
    get(f"{page.url}snapshot/0.jpg")
    assert "annotated" in vars(result)


def test_all_viewers_share_one_encoding_and_its_rate_is_bounded(open_page, streams):
    page = open_page(most_fps=5.0)
    viewers = [Viewer(f"{page.url}stream/0") for _ in range(8)]
    results = [streams.result(frame) for frame in range(60)]
    began = time.monotonic()
    for result in results:
        page.write(result)
        time.sleep(0.01)
    drawn = [result.frame.id for result in results if "annotated" in vars(result)]
    assert 1 <= len(drawn) <= 5 * (time.monotonic() - began) + 1
    assert len({viewer.next()[0] for viewer in viewers}) == 1
    for viewer in viewers:
        viewer.close()


def test_a_wide_frame_is_made_smaller(page, streams):
    page.write(streams.result(0, hw=(100, 2560)))
    image = cv2.imdecode(np.frombuffer(get(f"{page.url}snapshot/0.jpg"), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (50, 1280, 3)


@pytest.fixture
def slow_viewer(page):
    """Has asked for the video and reads none of it."""
    host, port = page.url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /stream/0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        yield slow


@pytest.fixture
def write_large(page, streams):
    """Gives the page frames whose pictures fill a socket's buffers; says how many viewers were dropped."""
    noise = np.random.default_rng(0).integers(0, 255, (480, 1280, 3), np.uint8)
    count = iter(range(10**6))

    def write() -> int:
        page.write(replace(streams.result(next(count), hw=(480, 1280)), image=noise))
        return status_of(f"{page.url}api/status")[1]["viewers_dropped"]

    return write


def test_a_viewer_that_does_not_read_holds_up_nobody(page, slow_viewer, write_large, monkeypatch):
    monkeypatch.setattr("pvt_edge.live.routes.PATIENCE_S", 60.0)  # it stays for the whole test
    quick = Viewer(f"{page.url}stream/0")
    reading = threading.Thread(target=lambda: [quick.next() for _ in range(12)])
    reading.start()

    def has_read() -> bool:
        assert write_large() == 0
        return not reading.is_alive()

    wait_until(has_read, 30)
    quick.close()


def test_a_viewer_that_does_not_read_is_dropped(slow_viewer, write_large, monkeypatch):
    monkeypatch.setattr("pvt_edge.live.routes.PATIENCE_S", 0.3)
    wait_until(lambda: write_large() == 1, 30)


def test_a_viewer_that_goes_while_the_camera_is_away_is_noticed(page, streams, monkeypatch):
    monkeypatch.setattr("pvt_edge.live.routes.WAIT_S", 0.1)
    page.write(streams.result(0))
    viewers = [Viewer(f"{page.url}stream/0") for _ in range(3)]
    for viewer in viewers:
        viewer.next()
    viewers[0].close()
    viewers[1].close()
    wait_until(lambda: status_of(f"{page.url}api/status")[1]["viewers"] == 1)
    time.sleep(0.3)  # longer than it may wait
    page.write(streams.result(1))
    assert viewers[2].next()[0] == 1
    viewers[2].close()
    assert status_of(f"{page.url}api/status")[1]["viewers_dropped"] == 0


def test_what_the_status_says(page):
    told = json.loads(get(f"{page.url}api/status"))
    stream = told["streams"][0]
    assert told["health"] == "ok"
    assert (stream["source"], stream["fps"], stream["age_p95_ms"]) == ("rtsp://***@camera/1", 24.8, 61.0)
    assert (stream["dropped"], stream["reconnects"], stream["decode_errors"]) == (3, 1, 0)
    assert (stream["objects"], stream["counts"]) == ({"RBC": 14, "WBC": 2}, {"line 1": {"in": 5, "out": 4}})


def test_history_grows_by_a_sample_a_second(page):
    wait_until(lambda: len(json.loads(get(f"{page.url}api/history/0"))) >= 2)
    first, second, *_ = json.loads(get(f"{page.url}api/history/0"))
    assert (first["fps"], first["age_p50_ms"], first["inference_p50_ms"]) == (24.8, 40.0, 22.0)
    assert second["at"] > first["at"]


@pytest.mark.parametrize(
    ("states", "code", "told"),
    [
        ([RUNNING], 200, "ok"),
        ([OPENING], 200, "ok"),
        ([ENDED], 200, "ok"),
        ([LOST], 503, "down"),
        ([FAILED], 503, "down"),
        ([RUNNING, LOST], 200, "degraded"),
        ([LOST, FAILED], 503, "down"),
    ],
)
def test_health(open_page, states, code, told):
    streams = Streams(*(replace(RUNNING_STREAM, id=i, state=state) for i, state in enumerate(states)))
    status, body = status_of(f"{open_page(told=streams).url}healthz")
    assert (status, body["status"]) == (code, told)
    assert [stream["state"] for stream in body["streams"]] == states


def test_a_stream_that_hangs_is_not_well(page, streams):
    streams.change(idle_s=15.1)  # three times the stall time
    assert status_of(f"{page.url}healthz")[0] == 503


def test_metrics_are_prometheus_own(page):
    families = {f.name: f for f in text_string_to_metric_families(get(f"{page.url}metrics").decode())}
    told = {
        name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for name, family in families.items()
    }
    assert families["pvt_edge_frames"].type == "counter"
    assert families["pvt_edge_frames"].samples[0].labels == {"stream": "0", "source": "rtsp://***@camera/1"}
    assert list(told["pvt_edge_frames"].values()) == [1200]
    assert list(told["pvt_edge_frames_dropped"].values()) == [3]
    assert list(told["pvt_edge_reconnects"].values()) == [1]
    assert list(told["pvt_edge_fps"].values()) == [24.8]
    assert list(told["pvt_edge_age_seconds"].values()) == [0.04, 0.061]
    assert list(told["pvt_edge_objects"].values()) == [14, 2]
    assert list(told["pvt_edge_counted"].values()) == [5, 4]
    assert told["process_resident_memory_bytes"][()] > 1e6


def test_metrics_of_a_file_whose_name_is_no_text(page, streams):
    streams.change(source="caf\udce9 \u7ec6.mp4")
    families = {f.name: f for f in text_string_to_metric_families(get(f"{page.url}metrics").decode())}
    assert families["pvt_edge_frames"].samples[0].labels["source"] == "caf\\udce9 \u7ec6.mp4"


def test_metrics_leave_out_what_was_not_measured(page, streams):
    streams.change(fps=None, age_p50_ms=None, age_p95_ms=None, inference_p50_ms=None, objects=None, counts=None)
    text = get(f"{page.url}metrics").decode()
    assert not [line for line in text.splitlines() if line.startswith(("pvt_edge_fps{", "pvt_edge_age"))]
    assert "nan" not in text.lower()


def test_a_port_that_is_taken_is_told(page, open_page):
    taken = page.url.removeprefix("http://").rstrip("/")
    with pytest.raises(DataError, match=f"cannot serve at {taken}: .*in use.*choose another port"):
        open_page(taken)


def test_a_host_that_is_not_ours_is_told(open_page):
    with pytest.raises(DataError, match=r"cannot serve at no\.such\.host\.invalid:8080"):
        open_page("no.such.host.invalid:8080", token="a-token-of-the-tests")


def test_closing_hangs_up_on_viewers_and_frees_the_port(open_page, streams):
    page = open_page()
    page.write(streams.result(0))
    viewer = Viewer(f"{page.url}stream/0")
    viewer.next()
    page.close()
    page.close()
    viewer.close()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("pvt-edge live")]
    assert open_page(page.url.removeprefix("http://").rstrip("/")).url == page.url
