"""An hour of a camera, sped up: how old frames are when they are answered, and whether anything grows.

    .venv/bin/python benchmarks/studies/stream_soak.py --json benchmarks/results/stream_soak.json

Exports the bundled cells and runs `pvt-edge predict` on a camera that is faster than the model, with tracking, JSON
lines, CSV and the live page with one viewer. Memory, threads and open files are read from the system every second;
growth is from the first tenth of the run to its last.
"""

import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import numpy as np
import psutil
import typer
from recording import record

CAMERA_FPS = 10.0  # of the hour that is told; the camera here is as many times faster as the run is shorter


def main(
    minutes: Annotated[float, typer.Option(min=0.2, help="Length of the run.")] = 3.0,
    frames: Annotated[int, typer.Option(min=1000, help="That the camera gives in it.")] = 36000,
    imgsz: Annotated[str, typer.Option(help="Of the exported model.")] = "480,640",
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Measure, print, and record."""
    script = shutil.which("pvt-edge", path=str(Path(sys.executable).parent))
    assert script, "pvt-edge is not installed in this environment"
    fps = frames / (60 * minutes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = str(folder / "bundle")
        export = [script, "export", "--variant", "b0", "--imgsz", imgsz, "--out", bundle, "--format", "openvino"]
        subprocess.run(export, check=True, capture_output=True)
        height, width = imgsz.split(",")
        source = f"synthetic://cells?fps={fps:g}&frames={frames}&width={width}&height={height}"
        outputs = ["--json", str(folder / "out.jsonl"), "--csv", str(folder / "out.csv"), "--serve", "127.0.0.1:0"]
        command = [script, "predict", bundle, source, "--track", *outputs]
        seen = watch(command)
        lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    ages = np.array([line["frame"]["age_ms"] for line in lines])
    inference_ms = statistics.median(line["speed"]["inference"] for line in lines)
    bound_ms = 1.5 * (1e3 / fps + inference_ms)
    tenth = max(1, len(seen["rss"]) // 10)
    ids = [line["frame"]["id"] for line in lines]
    found = {
        "frames given": frames,
        f"hours at {CAMERA_FPS:g} fps": round(frames / CAMERA_FPS / 3600, 2),
        "camera fps": round(fps, 1),
        "frames answered": len(lines),
        "frames told twice or out of order": int((np.diff(ids) <= 0).sum()),
        "inference p50 ms": round(inference_ms, 2),
        "age ms": {f"p{p}": round(float(np.percentile(ages, p)), 2) for p in (50, 90, 95, 99, 100)},
        "age p95 allowed ms": round(bound_ms, 2),
        "age p95 by tenth of the run": [
            round(float(np.percentile(part, 95)), 2) for part in np.array_split(ages, 10) if len(part)
        ],
        "growth": {
            "rss MB": round(
                (statistics.median(seen["rss"][-tenth:]) - statistics.median(seen["rss"][:tenth])) / 1e6, 2
            ),
            "threads": statistics.median(seen["threads"][-tenth:]) - statistics.median(seen["threads"][:tenth]),
            "open files": statistics.median(seen["fds"][-tenth:]) - statistics.median(seen["fds"][:tenth]),
        },
        "rss MB": [round(value / 1e6, 1) for value in seen["rss"][:: max(1, tenth)]],
    }
    options = f"--minutes {minutes:g} --frames {frames} --imgsz {imgsz}"
    record(json_path, f"python benchmarks/studies/stream_soak.py {options}", found)


def watch(command: list[str]) -> dict[str, list[float]]:
    """Run the command to its end, with one viewer on its page; what it held, second by second."""
    seen: dict[str, list[float]] = {"rss": [], "threads": [], "fds": []}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        threading.Thread(target=view, args=(url,), daemon=True).start()
        listener = threading.Thread(target=process.stderr.read, daemon=True)
        listener.start()
        system = psutil.Process(process.pid)
        time.sleep(10)  # models, pools and allocators settle
        while process.poll() is None:
            try:
                with system.oneshot():
                    values = system.memory_info().rss, system.num_threads(), system.num_fds()
            except psutil.Error:
                break
            for kept, value in zip(seen.values(), values, strict=True):
                kept.append(value)
            time.sleep(1)
    if process.returncode:
        raise SystemExit(f"pvt-edge predict ended with {process.returncode}")
    return seen


def view(url: str) -> None:
    """Watch the video until it ends."""
    try:
        with urlopen(f"{url}stream/0", timeout=30) as video:
            while video.read(65536):
                pass
    except (OSError, http.client.HTTPException):
        pass  # the run is over


if __name__ == "__main__":
    typer.run(main)
