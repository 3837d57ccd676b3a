"""Memory of this process, and of the GPU."""

import sys
from pathlib import Path

MIB = 1024 * 1024


def peak_rss_mib() -> float:
    """The most memory this process has had resident, MiB.

    From /proc where there is one: getrusage's figure starts, on Linux, at that of the process which started this one.
    """
    kib = _status_kib("VmHWM")
    if kib is not None:
        return round(kib / 1024, 1)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (MIB if sys.platform == "darwin" else 1024), 1)


def rss_mib() -> float:
    """The memory this process has resident now, MiB; its peak where the system tells no more."""
    kib = _status_kib("VmRSS")
    return peak_rss_mib() if kib is None else round(kib / 1024, 1)


def _status_kib(key: str) -> int | None:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def free_vram_bytes() -> int | None:
    """Free memory of the current GPU; None where there is none, or no cuda-python to ask."""
    from pvt_edge.errors import RuntimeMissingError
    from pvt_edge.runtimes.cuda import CudaError, bindings, check, probe_cuda

    try:
        probe_cuda()
        free, _ = check(bindings().cudaMemGetInfo())
    except (RuntimeMissingError, CudaError):
        return None
    return int(free)
