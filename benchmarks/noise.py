"""How noisy the machine was: the same small work timed between the turns, and what the system counted meanwhile.

Of clocks, throttling and other people's work Linux tells; None for all that it does not tell.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from pvt_edge.benchmarks.record import Noise
from pvt_edge.machine.cpu import usable_cpus

_CPUS = Path("/sys/devices/system/cpu")
_NOT_BUSY = (3, 4, 7)  # idle, iowait, steal: columns of /proc/stat
WORK = 20_000  # additions: well under a millisecond on one core
# Above these a run is called busy: what they do to medians is of the size of the differences people look for.
MOST_SPREAD, MOST_OTHERS, MOST_STEAL, MOST_THROTTLED = 1.25, 0.15, 0.02, 0.01


@dataclass(frozen=True)
class Counters:
    """Readings at one moment; two of them tell what went on between."""

    busy_s: float | None  # of all processes, on the CPUs that this one may use
    steal_s: float | None
    total_s: float | None
    own_s: float  # of this process
    cgroup_throttled_s: float | None
    thermal_throttles: int | None
    load: float | None  # average of the last minute


def read_counters() -> Counters:
    """All of them, now."""
    busy, steal, total = _cpu_seconds()
    times = os.times()
    return Counters(
        busy_s=busy,
        steal_s=steal,
        total_s=total,
        own_s=times.user + times.system,
        cgroup_throttled_s=_cgroup_throttled_s(),
        thermal_throttles=_thermal_throttles(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def read_mhz() -> tuple[float, float] | None:
    """The lowest and highest clock of the CPUs that this process may use, MHz."""
    found = [_number(_CPUS / f"cpu{cpu}" / "cpufreq" / "scaling_cur_freq") for cpu in usable_cpus()]
    clocks = [khz / 1e3 for khz in found if khz is not None] or _mhz_of_cpuinfo()
    return (min(clocks), max(clocks)) if clocks else None


def _cpu_seconds() -> tuple[float | None, float | None, float | None]:
    names = {f"cpu{cpu}" for cpu in usable_cpus()}
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        tick = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None, None, None
    rows = [[int(cell) / tick for cell in cells[1:9]] for cells in lines if cells and cells[0] in names]
    if not rows or min(map(len, rows)) < 8:
        return None, None, None
    busy = sum(seconds for row in rows for column, seconds in enumerate(row) if column not in _NOT_BUSY)
    return busy, sum(row[7] for row in rows), sum(map(sum, rows))


def _cgroup_throttled_s() -> float | None:
    """Seconds that this process's control group was held back, of version 2 or 1."""
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return None
    for _, controllers, path in groups:
        if controllers == "":
            places, key, unit = [f"/sys/fs/cgroup{path}", "/sys/fs/cgroup"], "throttled_usec", 1e6
        elif "cpu" in controllers.split(","):
            places, key, unit = [f"/sys/fs/cgroup/cpu{path}", "/sys/fs/cgroup/cpu"], "throttled_time", 1e9
        else:
            continue
        for place in places:
            value = _keyed(Path(place) / "cpu.stat", key)
            if value is not None:
                return value / unit
    return None


def _thermal_throttles() -> int | None:
    found = [_number(_CPUS / f"cpu{cpu}" / "thermal_throttle" / "core_throttle_count") for cpu in usable_cpus()]
    counts = [int(count) for count in found if count is not None]
    return sum(counts) if counts else None


def _mhz_of_cpuinfo() -> list[float]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]


def _keyed(path: Path, key: str) -> float | None:
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return None
    return next((float(cells[1]) for cells in lines if len(cells) == 2 and cells[0] == key), None)


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


class NoiseWatch:
    """Listens from its making to `summary`; `load` is the load average before the benchmark did anything itself."""

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

    def summary(self) -> Noise:
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
