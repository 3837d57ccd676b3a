"""Wall time and peak memory of the commands people wait for, each as a fresh process.

    .venv/bin/python benchmarks/studies/command_costs.py --json benchmarks/results/command_costs.json

Prints and records min, median and max over the runs; none is left out. Run it with nothing else on the machine.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from recording import write_record

MIB = 1024


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds and peak resident MiB of one run, children included as the largest single process."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return seconds, usage.ru_maxrss / MIB


def main(
    runs: Annotated[int, typer.Option(min=1, help="Runs of the short commands.")] = 10,
    export_runs: Annotated[int, typer.Option(min=1, help="Runs of the export.")] = 3,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Measure `--help`, `import pvt_edge` and the INT8 export of the bundled weights."""
    script = shutil.which("pvt-edge", path=str(Path(sys.executable).parent)) or "pvt-edge"
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        export = [script, "export", "--variant", "b0", "--int8", "--out", f"{scratch}/b0"]
        for name, command, count in (
            ("python -c pass", [sys.executable, "-c", "pass"], runs),
            ("import pvt_edge", [sys.executable, "-c", "import pvt_edge"], runs),
            ("pvt-edge --help", [script, "--help"], runs),
            ("pvt-edge export --variant b0 --int8", export, export_runs),
        ):
            measure(command)  # warm the file cache
            seconds, peaks = zip(*(measure(command) for _ in range(count)), strict=True)
            rows[name] = {
                "runs": count,
                "seconds": {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds)},
                "peak_mib": max(peaks),
            }
            low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
            print(f"{name:38} {middle:7.3f} s  ({low:.3f} to {high:.3f}), {max(peaks):.0f} MiB")
    command = f"python benchmarks/studies/command_costs.py --runs {runs} --export-runs {export_runs}"
    write_record(json_path, command, {"rows": rows})


if __name__ == "__main__":
    typer.run(main)
