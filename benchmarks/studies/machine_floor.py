"""What this machine can do at best: matrix products in float32, bfloat16 and int8 under OpenVINO, and copying.

    .venv/bin/python benchmarks/studies/machine_floor.py --json benchmarks/results/machine_floor.json

What was reached once is a floor to hold a model's time against: operations divided by the peak, bytes read and written
divided by the bandwidth. `pvt-edge benchmark` measures the same for its roofline.
"""

from pathlib import Path
from typing import Annotated

import typer
from recording import write_record

from pvt_edge.benchmarks.peaks import measure_peaks


def main(json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None) -> None:
    """Measure, print, and record."""
    peaks = measure_peaks(seconds=5.0)
    found = {"copy GB/s": peaks.copy_gb_per_second}
    found |= {f"{kind} TOP/s": value for kind, value in peaks.tera_operations.items()}
    for key, value in found.items():
        print(f"{key:12} {value}")
    write_record(json_path, "python benchmarks/studies/machine_floor.py", found)


if __name__ == "__main__":
    typer.run(main)
