"""What Linux tells of clocks, throttling and other people's work; None for all that it does not tell."""

import os
from dataclasses import dataclass
from pathlib import Path

from pvt_edge.machine.cpu import usable_cpus

_CPUS = Path("/sys/devices/system/cpu")
_NOT_BUSY = (3, 4, 7)  # idle, iowait, steal: columns of /proc/stat


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
