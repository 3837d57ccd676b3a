"""The numbers of a stream."""

import numpy as np
import pytest

from pvt_edge.results import Counter, FrameInfo, Probs, Result
from pvt_edge.streams import status as module
from pvt_edge.streams.status import ENDED, LOST, RUNNING, StreamRecord, StreamStatus, frames_per_second


def result(age_ms=10.0, inference_ms=5.0, counters=()):
    speed = {"preprocess": 1.0, "inference": inference_ms, "postprocess": 1.0}
    probs = Probs(np.array([0.2, 0.8]))
    frame = FrameInfo(0, 0.0, age_ms)
    return Result(np.zeros((4, 6, 3), np.uint8), ("a", "b"), probs=probs, speed=speed, frame=frame, counters=counters)


@pytest.mark.parametrize(
    ("times", "fps"),
    [([], None), ([1.0], None), ([1.0, 1.0], None), ([0.0, 0.5], 2.0), ([0.0, 0.1, 0.2, 0.3], pytest.approx(10.0))],
)
def test_frames_per_second_count_gaps_not_frames(times, fps):
    assert frames_per_second(times) == fps


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "- fps | dropped 0 | reconnects 0"),
        (
            {"fps": 24.83, "age_p95_ms": 61.2, "dropped": 3, "reconnects": 1, "state": RUNNING, "reason": "was lost"},
            "24.8 fps | age p95 61 ms | dropped 3 | reconnects 1",
        ),
        (
            {"fps": 1.0, "decode_errors": 2, "state": LOST, "reason": "cam: gone"},
            "1.0 fps | dropped 0 | reconnects 0 | decode errors 2 | lost: cam: gone",
        ),
        ({"state": ENDED}, "- fps | dropped 0 | reconnects 0"),
    ],
)
def test_the_line(fields, line):
    assert StreamStatus(0, "cam", True, **fields).line() == line


def test_a_record_gathers_and_copies():
    record = StreamRecord(3, "cam", live=True)
    first = record.status()
    assert (first.id, first.source, first.state, first.frames, first.fps) == (3, "cam", "opening", 0, None)
    record.drop(2)
    record.reconnect()
    record.decode_error(4)
    record.enter(LOST, "gone")
    record.enter(RUNNING)
    for age in range(1, 101):
        record.answer(result(age, counters=(Counter("line 1", ((0, 0), (1, 1)), {"in": 1}),)))
    now = record.status()
    assert record.faults() == (now.dropped, now.reconnects, now.decode_errors) == (2, 1, 4)
    assert (now.state, now.reason, now.frames, now.width, now.height) == (RUNNING, "gone", 100, 6, 4)
    assert (now.age_p50_ms, now.age_p95_ms, now.inference_p50_ms) == (50.5, pytest.approx(95.05), 5.0)
    assert (now.objects, now.counts) == ({"b": 1}, {"line 1": {"in": 1}})
    assert first.frames == 0  # a copy


def test_what_is_old_is_forgotten(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    record = StreamRecord(0, "cam", live=True)
    for _ in range(5):
        record.answer(result(1000.0))
        clock[0] += 1.0
    assert record.status().fps == pytest.approx(1.0)
    clock[0] += module.WINDOW_S
    gone = record.status()
    assert (gone.fps, gone.age_p95_ms, gone.frames) == (None, None, 5)
    assert gone.idle_s == pytest.approx(11.0)
