"""How noisy the machine was: the same small work timed between the turns, and what the system counted meanwhile."""

import time
from statistics import median

import numpy as np

from pvt_edge.benchmarks.clocks import Counters, read_counters, read_mhz
from pvt_edge.benchmarks.record import Noise

WORK = 20_000  # additions: well under a millisecond on one core
# Above these a run is called busy: what they do to medians is of the size of the differences people look for.
MOST_SPREAD, MOST_OTHERS, MOST_STEAL, MOST_THROTTLED = 1.25, 0.15, 0.02, 0.01


class NoiseWatch:
    """Listens from its making to `told`; `load` is the load average before the benchmark did anything itself."""

    def __init__(self, load: float | None = None) -> None:
        self._load = load
        self.reference_ms: list[float] = []
        self._mhz: list[float] = []
        self._before = read_counters()
        self._began = time.perf_counter()

    def listen(self) -> None:
        """Time the reference work, a few times; call between turns."""
        for _ in range(3):
            began = time.perf_counter_ns()
            sum(range(WORK))
            self.reference_ms.append((time.perf_counter_ns() - began) / 1e6)
        self._mhz += read_mhz() or ()

    def told(self) -> Noise:
        """What went on since the beginning."""
        if not self.reference_ms:
            self.listen()
        seconds = time.perf_counter() - self._began
        low, high = np.percentile(self.reference_ms, (10, 90))
        spread = float(high / low)
        after = read_counters()
        others, steal = _others(self._before, after, seconds), _steal(self._before, after)
        throttled = _difference(self._before.cgroup_throttled_s, after.cgroup_throttled_s)
        heat = _difference(self._before.thermal_throttles, after.thermal_throttles)
        return Noise(
            reference_p50_ms=round(median(self.reference_ms), 4),
            reference_spread=round(spread, 3),
            load_before=self._before.load if self._load is None else self._load,
            load_after=after.load,
            others_cpu=None if others is None else round(others, 2),
            steal=None if steal is None else round(steal, 4),
            cgroup_throttled_s=None if throttled is None else round(throttled, 3),
            thermal_throttles=None if heat is None else int(heat),
            mhz=(round(min(self._mhz)), round(max(self._mhz))) if self._mhz else None,
            busy=_reasons(spread, others, steal, throttled, heat, seconds),
        )


def _reasons(
    spread: float,
    others: float | None,
    steal: float | None,
    throttled: float | None,
    heat: float | None,
    seconds: float,
) -> tuple[str, ...]:
    found = []
    if others is not None and others > MOST_OTHERS:
        found.append(f"other processes took {others:.1f} cores on average")
    if steal is not None and steal > MOST_STEAL:
        found.append(f"the hypervisor gave {steal:.0%} of the time to others")
    if throttled is not None and throttled > MOST_THROTTLED * seconds:
        found.append(f"the container was held back for {throttled:.1f} of {seconds:.0f} s")
    if heat:
        found.append(f"the CPU throttled {heat:.0f} times for heat")
    if spread > MOST_SPREAD:
        found.append(f"the same small work took {spread:.2f} times as long at its p90 as at its p10")
    return tuple(found)


def _others(before: Counters, after: Counters, seconds: float) -> float | None:
    """Cores that other processes took on average."""
    busy = _difference(before.busy_s, after.busy_s)
    if busy is None:
        return None
    return max(busy - (after.own_s - before.own_s), 0.0) / max(seconds, 1e-9)


def _steal(before: Counters, after: Counters) -> float | None:
    stolen, total = _difference(before.steal_s, after.steal_s), _difference(before.total_s, after.total_s)
    return None if stolen is None or not total else stolen / total


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
