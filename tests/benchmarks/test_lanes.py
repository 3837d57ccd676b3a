"""Callers of a throughput run work side by side, and all their calls count."""

import threading

import pytest

from pvt_edge.benchmarks.timing import Lanes


def test_lanes_run_at_the_same_time():
    together = threading.Barrier(3, timeout=20)  # breaks unless three are inside at once
    with Lanes([together.wait] * 3) as lanes:
        turn = lanes.take_turn(0.0)
    assert len(turn.samples_ms) == 3


def test_every_call_of_every_lane_counts_but_the_first():
    counts = [0, 0]

    def of(lane):
        def call():
            counts[lane] += 1
            return lane

        return call

    with Lanes([of(0), of(1)]) as lanes:
        turn = lanes.take_turn(0.02)
    assert [turn.answers.count(lane) for lane in (0, 1)] == [count - 1 for count in counts]
    assert min(counts) >= 2
    assert turn.seconds >= 0.02


def test_what_a_lane_raises_comes_out():
    def fail():
        raise RuntimeError("no")

    with Lanes([fail, lambda: None]) as lanes, pytest.raises(RuntimeError, match="no"):
        lanes.take_turn(0.01)
