"""A busy machine is told from a quiet one by what the system counts."""

import pytest

from pvt_edge.benchmarks import noise
from pvt_edge.benchmarks.noise import Counters, NoiseWatch, read_counters, read_mhz

QUIET = Counters(
    busy_s=10.0, steal_s=0.0, total_s=100.0, own_s=9.0, cgroup_throttled_s=1.0, thermal_throttles=5, load=0.2
)
AFTER = {"busy_s": 20.0, "total_s": 120.0, "own_s": 19.0}  # this process was busy for all of ten seconds
CASES = {
    "quiet": ({}, ()),
    "others": ({"busy_s": 25.0}, ("other processes took 0.5 cores on average",)),
    "steal": ({"steal_s": 2.0}, ("the hypervisor gave 10% of the time to others",)),
    "throttled": ({"cgroup_throttled_s": 3.5}, ("the container was held back for 2.5 of 10 s",)),
    "heat": ({"thermal_throttles": 7}, ("the CPU throttled 2 times for heat",)),
}


@pytest.mark.parametrize(("changes", "reasons"), CASES.values(), ids=CASES)
def test_reasons(changes, reasons, monkeypatch):
    after = Counters(**{**vars(QUIET), **AFTER, **changes})
    readings, clock = iter((QUIET, after)), iter((0.0, 10.0))
    monkeypatch.setattr(noise, "read_counters", lambda: next(readings))
    monkeypatch.setattr(noise.time, "perf_counter", lambda: next(clock))
    watch = NoiseWatch()
    watch.reference_ms = [1.0] * 20
    assert watch.summary().busy == reasons


def test_an_uneven_reference_is_a_reason(monkeypatch):
    monkeypatch.setattr(noise, "read_counters", lambda: QUIET)
    watch = NoiseWatch()
    watch.reference_ms = [1.0] * 10 + [1.5] * 10
    told = watch.summary()
    assert told.reference_spread == 1.5
    assert told.busy == ("the same small work took 1.50 times as long at its p90 as at its p10",)


def test_a_system_that_tells_nothing(monkeypatch):
    silent = Counters(None, None, None, 0.0, None, None, None)
    monkeypatch.setattr(noise, "read_counters", lambda: silent)
    monkeypatch.setattr(noise, "read_mhz", lambda: None)
    watch = NoiseWatch()
    watch.reference_ms = [1.0] * 20
    told = watch.summary()
    assert (told.others_cpu, told.steal, told.cgroup_throttled_s, told.mhz, told.busy) == (None, None, None, None, ())


def test_this_system():
    watch = NoiseWatch()
    watch.listen()
    told = watch.summary()
    assert len(watch.reference_ms) == 3
    assert told.reference_p50_ms > 0
    counters = read_counters()
    assert counters.own_s > 0
    clock = read_mhz()
    assert clock is None or 100 < clock[0] <= clock[1] < 10_000
