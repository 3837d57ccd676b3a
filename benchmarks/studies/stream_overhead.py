"""What a stream costs beside its model: a 640x480 H.264 file end to end, against the model alone in a tight loop.

    .venv/bin/python benchmarks/studies/stream_overhead.py out/demo/b0 --json benchmarks/results/stream_overhead.json

The two take turns; the ratio is of their median frame times. ffmpeg makes the file of a drawn scene.
"""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from recording import record, run

from pvt_edge import load
from pvt_edge.predictor import Predictor
from pvt_edge.scenes import draw_scene
from pvt_edge.sinks import JsonLines, Sink, VideoFile
from pvt_edge.sources import Frame


def main(
    bundle: Annotated[Path, typer.Argument(help="The folder an export wrote.")],
    frames: Annotated[int, typer.Option(min=50, help="Length of the file.")] = 300,
    rounds: Annotated[int, typer.Option(min=3, help="Turns each takes.")] = 9,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Measure, print, and record."""
    with tempfile.TemporaryDirectory() as folder, load(bundle) as predictor:
        clip = make_clip(Path(folder) / "clip.mp4", frames)
        ways = {
            "bare inference": lambda: bare(predictor, frames),
            "stream": lambda: stream(predictor, clip),
            "stream, JSON": lambda: stream(predictor, clip, JsonLines(Path(folder) / "out.jsonl")),
            "stream, annotated video": lambda: stream(predictor, clip, VideoFile(Path(folder) / "out.mp4")),
        }
        times_ms: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, measure in ways.items():
                spent = measure()
                if number:  # the first round warms up
                    times_ms[name].append(spent)
    medians = {name: statistics.median(values) for name, values in times_ms.items()}
    found = {
        "ms a frame": {name: round(value, 2) for name, value in medians.items()},
        "throughput against bare inference": {
            name: round(medians["bare inference"] / value, 3) for name, value in medians.items()
        },
        "runtime": f"{predictor.runtime.name} {predictor.runtime.precision}",
        "rounds": rounds,
        "frames": frames,
    }
    record(json_path, f"python benchmarks/studies/stream_overhead.py BUNDLE --frames {frames} --rounds {rounds}", found)


def make_clip(path: Path, frames: int) -> Path:
    """A 640x480 H.264 file of a lens moving over drawn cells."""
    scene = draw_scene(0, 480, 640 + frames).image
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "640x480", "-r", "30", "-i", "-"]
    encode = ["-c:v", "libx264", "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen([*command, *encode], stdin=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        for left in range(frames):
            ffmpeg.stdin.write(scene[:, left : left + 640].tobytes())
        ffmpeg.stdin.close()
        if ffmpeg.wait():
            raise SystemExit("ffmpeg could not make the clip")
    return path


def bare(predictor: Predictor, frames: int) -> float:
    """ms a frame of nothing but inference."""
    height, width = predictor.input_hw
    batch = predictor.prepare(Frame(draw_scene(1, height, width).image)).input[None]
    started = time.perf_counter()
    for _ in range(frames):
        predictor.runtime.infer({predictor.manifest.input.name: batch})
    return (time.perf_counter() - started) * 1e3 / frames


def stream(predictor: Predictor, clip: Path, *sinks: Sink) -> float:
    """ms a frame from file to sinks."""
    done = run(predictor, [str(clip)], sinks=sinks)
    return done.wall_s * 1e3 / sum(done.frames)


if __name__ == "__main__":
    typer.run(main)
