"""Several streams on one model: what two cost against one, and whether any of four starves.

    .venv/bin/python benchmarks/studies/stream_scaling.py out/demo/b0 --json benchmarks/results/stream_scaling.json

Cost is the time that one file, and two at once, take; the two measurements take turns and their medians are compared.
The four are live cameras, each faster than the model.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from recording import record, run
from stream_overhead import make_clip

from pvt_edge import load

CAMERA_FPS = (20, 30, 30, 60)  # each alone more than its share of the model


def main(
    bundle: Annotated[Path, typer.Argument(help="The folder an export wrote.")],
    frames: Annotated[int, typer.Option(min=50, help="Length of the files.")] = 200,
    rounds: Annotated[int, typer.Option(min=3, help="Turns each takes.")] = 7,
    seconds: Annotated[float, typer.Option(min=1, help="That the four cameras run.")] = 60.0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Measure, print, and record."""
    with tempfile.TemporaryDirectory() as folder, load(bundle) as predictor:
        clip = str(make_clip(Path(folder) / "clip.mp4", frames))
        times_s: dict[int, list[float]] = {1: [], 2: []}
        for number in range(rounds + 1):
            for count, values in times_s.items():
                spent = run(predictor, [clip] * count).wall_s
                if number:  # the first round warms up
                    values.append(spent)
        cameras = [f"synthetic://cells?seed={seed}&fps={fps}" for seed, fps in enumerate(CAMERA_FPS)]
        four = run(predictor, cameras, seconds=seconds)
    one, two = (statistics.median(values) for values in times_s.values())
    found = {
        "seconds of one file": round(one, 3),
        "seconds of two files": round(two, 3),
        "two against one": round(two / one, 3),
        "frames of four cameras": four.frames,
        "least against most": round(min(four.frames) / max(four.frames), 3),
        "age p95 ms of four cameras": [round(status.age_p95_ms or 0.0, 1) for status in four.statuses],
    }
    options = f"--frames {frames} --rounds {rounds} --seconds {seconds:g}"
    record(json_path, f"python benchmarks/studies/stream_scaling.py BUNDLE {options}", found)


if __name__ == "__main__":
    typer.run(main)
