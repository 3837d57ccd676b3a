"""Every call is timed and none is dropped; percentiles are numpy's."""

import time

import numpy as np
import pytest

from pvt_edge.benchmarks.timing import Turn, measure_timer, summarise, take_turn


def test_a_turn_of_no_time_is_one_call_after_one_untimed():
    calls = []
    turn = take_turn(lambda: calls.append(len(calls)), 0.0)
    assert (len(calls), len(turn.samples_ms)) == (2, 1)


def test_no_call_of_a_turn_is_dropped_however_long_it_took():
    calls = []

    def call():
        calls.append(len(calls))
        time.sleep(0.03 if len(calls) == 4 else 0.001)
        return calls[-1]

    turn = take_turn(call, 0.06)
    assert turn.answers == calls[1:]
    assert len(turn.samples_ms) == len(turn.answers)
    assert turn.samples_ms[2] == max(turn.samples_ms) >= 29  # nor shortened
    assert sum(turn.samples_ms) / 1e3 <= turn.seconds


def test_turns_add_up():
    whole = Turn()
    whole.add(Turn([1.0, 2.0], ["a", "b"], 0.5))
    whole.add(Turn([9.0], ["c"], 0.25))
    assert (whole.samples_ms, whole.answers, whole.seconds) == ([1.0, 2.0, 9.0], ["a", "b", "c"], 0.75)


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_percentiles_are_those_of_numpy(count):
    samples = np.random.default_rng(count).lognormal(1, 1, count).tolist()
    found = summarise(samples, (50, 90, 95, 99, 99.9), batch=2, seconds=4.0)
    assert found.percentiles == {
        name: pytest.approx(np.percentile(samples, float(name)), abs=1e-4) for name in ("50", "90", "95", "99", "99.9")
    }
    assert found.p50 == found.percentiles["50"]
    assert (found.calls, found.least, found.most) == (
        count, pytest.approx(min(samples), abs=1e-4), pytest.approx(max(samples), abs=1e-4),
    )  # fmt: skip
    assert found.images_per_second == pytest.approx(count * 2 / 4, abs=1e-3)


def test_the_median_is_there_where_nobody_asks_for_it():
    found = summarise([3.0, 1.0, 2.0], (90,), batch=1, seconds=1)
    assert (found.p50, list(found.percentiles)) == (2.0, ["90"])


def test_the_stopwatch_costs_less_than_a_hundredth_of_a_small_model():
    timer = measure_timer(5000)
    assert 0 < timer.share_of_2_ms < 0.01
    assert timer.in_sample_us < timer.between_samples_us
