"""What a search says in a line, and whether an approximation in float is worth writing."""

import pytest

from pvt_edge.export.precision.record import Candidate, Latency, Metric
from pvt_edge.export.precision.verdict import pays, verdict

METRIC = Metric(name="map", words="AP", data="four pictures")


def candidates(**rows):
    """By name (ms or None, drop): within a budget of 0.005."""
    return {
        name: Candidate(
            name=name,
            words=name,
            int8_blocks=0,
            float_blocks=1,
            value=1 - drop,
            drop=drop,
            latency=None if ms is None else Latency(p50=ms, p90=ms, p99=ms, inferences=9),
            within_budget=drop <= 0.005,
        )
        for name, (ms, drop) in rows.items()
    }


TIMED = "approx {}.0 ms, bf16 30.0 ms, fp32 50.0 ms (p50, 2 threads): "
EXACT = {"fp32": (50, 0), "bf16": (30, 0.001)}
LOST = "AP may fall by 0.005, it loses 0.1000; allow more with --max-drop"
CASES = [
    (EXACT | {"approx": (20, 0.002)}, True, TIMED.format(20) + "approx kept, AP -0.002"),
    (EXACT | {"approx": (40, 0.002)}, False, TIMED.format(40) + "approx is not faster here, AP -0.002"),
    (EXACT | {"bf16": (30, 0.9), "approx": (40, 0.002)}, True, TIMED.format(40) + "approx kept, AP -0.002"),
    ({"fp32": (50, 0), "approx": (None, 0.1)}, False, f"fp32 50.0 ms (p50, 2 threads): approx not written: {LOST}"),
    ({"fp32": (None, 0), "approx": (None, 0.0)}, True, "approx kept, AP +0.000; nothing was timed"),
]


@pytest.mark.parametrize(("rows", "worth", "told"), CASES)
def test_floats_alone(rows, worth, told):
    found = candidates(**rows)
    assert pays(found) is worth
    assert verdict(found, None, metric=METRIC, max_drop=0.005, threads=2) == told


def test_without_an_approximation_nothing_pays():
    assert not pays(candidates(fp32=(50, 0)))


def test_int8_is_told_beside_it():
    found = candidates(fp32=(50, 0), approx=(20, 0.1))
    told = verdict(found, [], metric=METRIC, max_drop=0.005, threads=2)
    assert told.endswith("; approx loses 0.1000, more than the budget of 0.005")
