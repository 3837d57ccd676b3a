"""A fresh process from nothing to the first result: how long it takes, and how much memory it has needed.

It also goes first: a runtime that kills its process kills this one, and not the benchmark.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pvt_edge.benchmarks.opening import COMPILED, Opening
from pvt_edge.benchmarks.record import ColdStart
from pvt_edge.errors import PvtEdgeError, RuntimeMissingError
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.runtimes.cuda import CudaError, bindings, check, probe_cuda

MIB = 1024 * 1024
PATIENCE_S = 900  # torch.compile of the largest takes minutes
_MORE_RUNS = 4  # before the peak is read: some runtimes allocate on the second


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
    try:
        probe_cuda()
        free, _ = check(bindings().cudaMemGetInfo())
    except (RuntimeMissingError, CudaError):
        return None
    return int(free)


class ColdStartError(PvtEdgeError):
    """A runtime that gave no first result in a process of its own."""


@contextmanager
def own_compiler_cache(scratch: Path) -> Iterator[None]:
    """Within, torch.compile begins with an empty cache in `scratch`, so that its cold start is one."""
    key = "TORCHINDUCTOR_CACHE_DIR"
    before = os.environ.get(key)
    os.environ[key] = str(scratch / COMPILED)
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before


def measure_cold_start(opening: Opening) -> ColdStart:
    """Times and memory of one fresh process. Raises `ColdStartError` with what it died of."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-c", "from pvt_edge.benchmarks.cold_start import answer; answer()", str(answer)]
        # in an empty folder: what lies where the user stands must not be imported
        try:
            done = subprocess.run(
                command,
                input=json.dumps(TypeAdapter(Opening).dump_python(opening, mode="json")),
                capture_output=True,
                text=True,
                errors="replace",  # libraries say what they like
                cwd=folder,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ColdStartError(f"gave no result within {PATIENCE_S} s") from None
        if not answer.is_file():
            raise ColdStartError(_death(done.returncode, done.stderr))
        found: dict[str, Any] = json.loads(answer.read_text())
    if "error" in found:
        raise ColdStartError(found["error"])
    return ColdStart.model_validate(found)


def _death(code: int, errors: str) -> str:
    if code < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"its process was killed by {known.get(-code, f'signal {-code}')}"
    last = next((line for line in reversed(errors.splitlines()) if line.strip()), "no word")
    return f"its process ended with {code}: {last.strip()[:300]}"


def answer() -> None:
    """In the fresh process: open what standard input describes, and write the figures to the file named."""
    opening = TypeAdapter(Opening).validate_python(json.loads(sys.stdin.read()))
    try:
        found: dict[str, Any] = _start(opening)
    except Exception as error:
        found = {"error": one_line(error)}
    Path(sys.argv[1]).write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # what a library says or does as it goes is no part of this


def _start(opening: Opening) -> dict[str, Any]:
    import numpy as np

    clock = time.perf_counter
    idle = rss_mib()
    began = clock()
    opening.require()
    imported = clock()
    free = free_vram_bytes() if opening.on_gpu else None
    ready = clock()
    runtime = opening.open()
    loaded = clock()
    feeds = {opening.input_name: np.zeros(opening.shape, np.uint8)}
    runtime.infer(feeds)
    first = clock()
    for _ in range(_MORE_RUNS):
        runtime.infer(feeds)
    left = free_vram_bytes() if free is not None else None
    return {
        "import_ms": round((imported - began) * 1e3, 1),
        "load_ms": round((loaded - ready) * 1e3, 1),
        "first_ms": round((first - loaded) * 1e3, 2),
        "idle_rss_mib": idle,
        "peak_rss_mib": peak_rss_mib(),
        "vram_mib": None if free is None or left is None else round((free - left) / MIB, 1),
    }
