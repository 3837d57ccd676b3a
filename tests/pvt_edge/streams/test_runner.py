"""Sources -> one model -> results, with a model that answers what it is told, and once with a real one."""

import json
import subprocess
import threading
import time
from collections import Counter

import numpy as np
import pytest

from pvt_edge import load
from pvt_edge.errors import DataError
from pvt_edge.postprocessing import Thresholds
from pvt_edge.predictor.frames import Prepared
from pvt_edge.results import FrameInfo, Probs, Result
from pvt_edge.sources import Frame, ImageFiles, SourceOptions, open_source
from pvt_edge.streams import StreamRunner, run_streams
from pvt_edge.streams.status import ENDED, FAILED

from .cameras import RtspCamera, closed_port, read_number, write_picture
from .reading import Scripted, gone

THRESHOLDS = Thresholds(0.25, 0.5, 100, None)
LIVE = "synthetic://cells?width=64&height=64&fps=200"


class Echo:
    """Stands for a model that takes `batch` pictures (None: any number) and `slow_s` for each call."""

    def __init__(self, batch=1, slow_s=0.0):
        self.batch, self.slow_s = batch, slow_s
        self.together = []

    def prepare(self, frame):
        return Prepared(frame, frame.image, None, frame.image, 0.1)

    def complete(self, prepared, thresholds):
        assert thresholds is THRESHOLDS
        self.together.append(len(prepared))
        time.sleep(self.slow_s)
        return [
            Result(
                one.image,
                ("a", "b"),
                probs=Probs(np.array([0.1, 0.9])),
                path=one.frame.path,
                frame=FrameInfo(one.frame.id, one.frame.captured_at, one.frame.age_ms),
            )
            for one in prepared
        ]


def folder(path, count):
    path.mkdir()
    for number in range(count):
        write_picture(path / f"{number:03}.png", number)
    return open_source(path)


def test_without_a_source_there_is_nothing_to_run():
    with pytest.raises(DataError, match="no source"):
        StreamRunner(Echo(), [], THRESHOLDS)


@pytest.mark.parametrize("age", [0, -1.0, float("nan")])
def test_an_age_that_no_frame_has_is_refused(age):
    with pytest.raises(DataError, match="greatest age must be more than 0 ms"):
        StreamRunner(Echo(), [Scripted()], THRESHOLDS, max_age_ms=age)


@pytest.mark.parametrize("batch", [1, 4, None])
def test_files_give_every_frame_in_order(tmp_path, batch):
    predictor = Echo(batch)
    with StreamRunner(predictor, [folder(tmp_path / "a", 10)], THRESHOLDS) as runner:
        results = list(runner)
    assert [int(result.image[0, 0, 0]) for result in results] == list(range(10))
    assert [result.frame.id for result in results] == list(range(10))
    assert results[0].frame.stream.source == str(tmp_path / "a")
    assert max(predictor.together) == (batch or 1)
    (status,) = runner.statuses()
    assert (status.state, status.frames, status.dropped) == (ENDED, 10, 0)
    assert not runner.live


def test_several_files_take_turns_and_share_a_batch(tmp_path):
    predictor = Echo(None)
    sources = [folder(tmp_path / name, 6) for name in "abc"]
    with StreamRunner(predictor, sources, THRESHOLDS) as runner:
        results = list(runner)
    assert Counter(result.frame.stream.id for result in results) == {0: 6, 1: 6, 2: 6}
    assert predictor.together == [3] * 6


@pytest.mark.timeout(60)
def test_many_files_of_unlike_length_end_with_the_longest(tmp_path):
    predictor = Echo(None)
    sources = [folder(tmp_path / str(count), count) for count in (1, 2, 3, 4, 14)]
    with StreamRunner(predictor, sources, THRESHOLDS) as runner:
        results = list(runner)
    assert Counter(result.frame.stream.id for result in results) == {0: 1, 1: 2, 2: 3, 3: 4, 4: 14}
    assert predictor.together == [5] * 4 + [4]


def test_live_streams_are_served_alike_however_slow_the_model_is():
    rates = (200, 100, 50)
    sources = [open_source(f"synthetic://cells?width=64&height=64&fps={rate}") for rate in rates]
    with StreamRunner(Echo(slow_s=0.02), sources, THRESHOLDS) as runner:
        served = Counter()
        for result in runner:
            served[result.frame.stream.id] += 1
            if served.total() == 60:
                break
    assert min(served.values()) / max(served.values()) >= 0.8
    assert all(status.dropped > 0 for status in runner.statuses())


def test_frames_of_a_live_stream_are_the_newest_and_old_ones_are_dropped():
    stale = Frame(np.zeros((4, 4, 3), np.uint8), tick=time.perf_counter() - 0.9)
    source = Scripted([stale, "ended"])
    with StreamRunner(Echo(), [source], THRESHOLDS, max_age_ms=150) as runner:
        assert list(runner) == []
    assert runner.statuses()[0].dropped == 1
    with StreamRunner(Echo(), [Scripted([5, "ended"])], THRESHOLDS, max_age_ms=30_000) as runner:
        assert len(list(runner)) == 1


def test_a_files_frames_never_get_too_old(tmp_path):
    with StreamRunner(Echo(slow_s=0.01), [folder(tmp_path / "a", 8)], THRESHOLDS, max_age_ms=1) as runner:
        assert len(list(runner)) == 8


def test_one_source_that_fails_is_an_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    runner = StreamRunner(Echo(), [open_source(tmp_path / "a.jpg")], THRESHOLDS)
    with runner, pytest.raises(DataError, match="not an image"):
        list(runner)


def test_one_of_several_that_fails_is_told_and_the_others_go_on(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    sources = [open_source(tmp_path / "a.jpg"), Scripted([1, RuntimeError("oh")]), folder(tmp_path / "b", 5)]
    with StreamRunner(Echo(), sources, THRESHOLDS) as runner:
        results = list(runner)
    assert sum(result.frame.stream.id == 2 for result in results) == 5
    assert [status.state for status in runner.statuses()] == [FAILED, FAILED, ENDED]
    assert [line.split(": ")[-1] for line in runner.failures] == [
        "not an image that OpenCV can decode, or a damaged one",
        "oh",
    ]


def test_what_went_wrong_before_a_frame_is_told_with_it():
    source = Scripted([1, "damaged", "lost"], [gone()], [2, "ended"])
    with StreamRunner(Echo(), [source], THRESHOLDS) as runner:
        results = list(runner)
    first, last = results[0].frame.stream, results[-1].frame.stream
    assert first.reconnects == 0
    assert (last.source, last.reconnects, last.decode_errors) == ("scripted", 1, 1)
    assert json.loads(results[-1].to_json())["stream"] == {
        "id": 0,
        "source": "scripted",
        "dropped": 0,
        "reconnects": 1,
        "decode_errors": 1,
    }


def test_each_sources_results_are_followed_in_order(tmp_path):
    sources = [folder(tmp_path / name, 4) for name in "ab"]
    seen = {source.name: [] for source in sources}

    def follow(source):
        def one(result):
            seen[source.name].append(result.frame.id)
            return result

        return one

    with StreamRunner(Echo(), sources, THRESHOLDS, follow=follow) as runner:
        list(runner)
    assert list(seen.values()) == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("how", ["stop", "break", "close"])
def test_every_way_to_end_joins_the_threads(how):
    before = threading.active_count()
    sources = [open_source(LIVE), Scripted(*[[gone()]] * 99)]
    runner = StreamRunner(Echo(), sources, THRESHOLDS)
    if how == "stop":
        timer = threading.Timer(0.2, runner.stop)
        timer.start()
        assert len(list(runner)) > 2
        timer.join()
    elif how == "break":
        for _ in runner:
            break
    else:
        next(iter(runner))
    runner.close()
    runner.close()
    for source in sources:
        source.close()
    assert threading.active_count() == before


def test_owned_sources_are_closed():
    source = open_source(LIVE)
    results = run_streams(Echo(), [source], THRESHOLDS, owned=True)
    next(results)
    results.close()
    assert not source.connected


def test_an_empty_list_of_images_gives_nothing():
    with StreamRunner(Echo(), [ImageFiles("none", [])], THRESHOLDS) as runner:
        assert list(runner) == []


def test_a_real_model_on_a_real_camera_that_dies(cells_bundle):
    with RtspCamera("--first-by-clock") as camera, load(cells_bundle, "openvino") as predictor:
        source = open_source(camera.address, SourceOptions(stall_s=1.0))
        runner = StreamRunner(predictor, [source], predictor.choose_thresholds())
        seen, killed = [], False
        for result in runner:
            seen.append(result)
            if len(seen) == 5:
                camera.kill()
                camera.start()
                killed = True
            if killed and result.frame.stream.reconnects and len(seen) >= 10:
                break
        runner.close()
        source.close()
    numbers = [read_number(result.image) for result in seen]
    assert None not in numbers
    assert numbers == sorted(set(numbers))
    assert seen[-1].frame.stream.reconnects == 1


def test_the_command_tells_no_password_and_counts_faults(cells_bundle, pvt_edge_script, tmp_path):
    with RtspCamera(login="me:s3cret") as camera:
        away = f"rtsp://me:s3cret@127.0.0.1:{closed_port()}/cam?token=t0ken"
        command = [pvt_edge_script, "predict", str(cells_bundle), camera.address, away, "--runtime", "openvino"]
        command += ["--json", str(tmp_path / "out.jsonl"), "--csv", str(tmp_path / "out.csv"), "--duration", "2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert done.returncode == 0, done.stderr
    assert lines[-1]["stream"]["source"] == f"rtsp://***@127.0.0.1:{camera.port}/cam"
    assert lines[-1]["stream"]["reconnects"] == 0
    assert f"0 rtsp://***@127.0.0.1:{camera.port}/cam: " in done.stderr
    assert "lost: " in done.stderr
    assert "nothing listens on" in done.stderr
    for text in (done.stdout, done.stderr, *(path.read_text() for path in tmp_path.iterdir())):
        assert "s3cret" not in text
        assert "t0ken" not in text


def test_the_command_ends_with_one_line_where_its_camera_is_not_there(cells_bundle, pvt_edge_command):
    done = pvt_edge_command("predict", str(cells_bundle), f"rtsp://me:s3cret@127.0.0.1:{closed_port()}/cam")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "nothing listens on" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
