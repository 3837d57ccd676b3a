"""Predictors on videos and sources, one result after the other."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest

from pvt_edge.errors import DataError
from pvt_edge.sources import Frame, ImageFiles

from .finder import TWO, picture, predictor_for


def write_video(path, frames=7):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for number in range(frames):
        writer.write(picture((0, 16 * number, 40, 16 * number + 100, 200), hw=(240, 320)))
    writer.release()
    return path


@pytest.mark.parametrize("batch", [1, 3, -1])
def test_a_video_streams(tmp_path, batch):
    predictor = predictor_for(tmp_path, batch=batch)
    path = write_video(tmp_path / "clip.avi")
    results = list(predictor.stream(path))
    assert [result.frame.id for result in results] == list(range(7))
    for number, result in enumerate(results):
        assert result.path == str(path)
        assert result.boxes.xyxy[0, 0] == pytest.approx(16 * number, abs=4)
    assert {len(seen) for seen in predictor.runtime.batches} == {abs(batch)}


def test_a_stream_is_lazy(tmp_path):
    predictor = predictor_for(tmp_path)
    stream = predictor.stream(write_video(tmp_path / "clip.avi"))
    assert predictor.runtime.batches == []
    next(stream)
    next(stream)
    assert len(predictor.runtime.batches) == 2


def test_a_video_is_not_gathered_into_a_list(tmp_path):
    with pytest.raises(DataError, match=r"use predictor.stream\("):
        predictor_for(tmp_path)(str(write_video(tmp_path / "clip.avi")))


def test_neither_is_one_on_the_web(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), TWO)
    (tmp_path / "b").write_bytes((tmp_path / "a.png").read_bytes())  # a picture by its content alone
    write_video(tmp_path / "clip.avi")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        host = f"http://127.0.0.1:{server.server_address[1]}"
        predictor = predictor_for(tmp_path / "bundle")
        for name in ("a.png", "b"):
            assert len(predictor(f"{host}/{name}").boxes) == 2
        with pytest.raises(DataError, match=r"use predictor.stream\("):
            predictor(f"{host}/clip.avi")
        with pytest.raises(DataError, match=r"no such picture"):
            predictor(f"{host}/gone.png")
        server.shutdown()


class Counted(ImageFiles):
    """Two frames of its own, and whether it was closed."""

    closed = False

    def __iter__(self):
        yield Frame(TWO, 5, captured_at=123.0)
        yield Frame(TWO, 6)

    def close(self):
        self.closed = True


def test_a_source_of_the_caller_s_is_left_open(tmp_path):
    source = Counted("mine", [])
    results = list(predictor_for(tmp_path).stream(source))
    assert [result.frame.id for result in results] == [5, 6]
    assert results[0].frame.captured_at == 123.0
    assert results[0].frame.age_ms >= sum(results[0].speed.values())
    assert not source.closed


def test_a_source_opened_by_the_stream_is_closed(tmp_path, monkeypatch):
    source = Counted("opened", [])
    monkeypatch.setattr("pvt_edge.predictor.predictor.open_source", lambda spec, options: source)
    stream = predictor_for(tmp_path).stream("camera")
    next(stream)
    assert not source.closed
    stream.close()
    assert source.closed


def test_a_source_is_closed_when_the_stream_is_refused(tmp_path, monkeypatch):
    source = Counted("opened", [])
    monkeypatch.setattr("pvt_edge.predictor.predictor.open_source", lambda spec, options: source)
    with pytest.raises(DataError, match="greatest age"):
        predictor_for(tmp_path).stream("camera", max_age=0)
    assert source.closed


def test_a_stream_left_half_way_leaves_no_thread(tmp_path):
    for result in predictor_for(tmp_path).stream("synthetic://cells?fps=200"):
        if result.frame.id > 5:
            break
    del result
    assert [thread.name for thread in threading.enumerate() if "pvt-edge" in thread.name] == []


def test_a_tracked_stream_gives_ids(tmp_path):
    results = list(predictor_for(tmp_path).stream(write_video(tmp_path / "clip.avi"), track=True))
    assert [result.boxes.id.tolist() for result in results] == [[-1], *[[1]] * 6]
    assert list(predictor_for(tmp_path).stream(tmp_path / "clip.avi"))[-1].boxes.id is None
