"""Benchmarks of literal figures."""

from pvt_edge.benchmarks.record import (
    Benchmark,
    ColdStart,
    EndToEnd,
    Floor,
    Machine,
    Model,
    Noise,
    Row,
    Settings,
    Timer,
    Times,
)


def times(p50: float, calls: int = 100) -> Times:
    return Times(
        calls=calls,
        p50=p50,
        mean=p50,
        least=p50 * 0.9,
        most=p50 * 2,
        percentiles={"50": p50, "99": p50 * 1.5},
        images_per_second=1e3 / p50,
    )


def row(name: str, p50: float | None = 10.0, whole: float | None = None, **changes: object) -> Row:
    """A measured row called "runtime precision", or without `p50` one that failed."""
    runtime, _, precision = name.removeprefix("stock ").partition(" ")
    given = {
        "name": name,
        "route": "stock" if name.startswith("stock ") else "pvt-edge",
        "runtime": runtime,
        "precision": precision,
        "batch": 1,
        "status": "measured",
        "device": "cpu",
        "model_bytes": 2**20,
        **changes,
    }
    if p50 is None:
        return Row.model_validate({**given, "status": "failed", "reason": "it broke"})
    stages = {"decode": 1.0, "preprocess": 1.0, "inference": p50, "postprocess": 1.0}
    return Row.model_validate(
        {
            "inference": times(p50),
            "end_to_end": EndToEnd(times=times(whole or p50 + 3), stages=stages),
            "cold_start": ColdStart(import_ms=100, load_ms=200, first_ms=30, idle_rss_mib=40, peak_rss_mib=140),
            "floor": Floor(floor_ms=p50 / 2, bound="arithmetic", distance=2.0),
            **given,
        }
    )


def benchmark(*rows: Row, busy: tuple[str, ...] = (), cpu: str = "a CPU", **model: object) -> Benchmark:
    return Benchmark(
        pvt_edge="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        command="pvt-edge benchmark out/b0",
        model=Model.model_validate(
            {
                "variant": "b0",
                "task": "detect",
                "height": 480,
                "width": 640,
                "weights": "cells",
                "bundle": "b0",
                "macs": 5_900_000_000,
                "accuracy_data": "48 generated scenes",
                **model,
            }
        ),
        settings=Settings(
            hint="latency",
            duration_s=1,
            warmup_s=0.1,
            slice_s=0.1,
            rounds=10,
            seed=0,
            threads=None,
            streams=None,
            device="auto",
            pictures="8 generated scenes",
        ),
        machine=Machine(
            cpu=cpu, cores=2, memory_gib=8, system="Linux", gpu=None, features=(), versions={"python": "3.11.7"}
        ),
        noise=Noise(
            reference_p50_ms=0.2,
            reference_spread=1.02,
            load_before=0.1,
            load_after=1.0,
            others_cpu=0.01,
            steal=0.0,
            cgroup_throttled_s=None,
            thermal_throttles=None,
            mhz=(2600, 2600),
            busy=busy,
        ),
        timer=Timer(in_sample_us=0.1, between_samples_us=0.8, share_of_2_ms=0.00005),
        peaks=None,
        rows=rows,
    )
