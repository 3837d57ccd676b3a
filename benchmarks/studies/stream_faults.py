"""What a stream suffers while its camera is killed and started again, 20 times at moments of chance.

    .venv/bin/python benchmarks/studies/stream_faults.py out/b0 --json benchmarks/results/stream_faults.json

A real RTSP server (numbered_camera.py) draws its number into every picture: a number seen twice is a duplicated
frame, a picture without one an invented frame. The camera is dead for 0 to `--longest` seconds each time, so that
outages end in every stage of the back-off. A second camera runs beside it and is left alone.
"""

import json
import logging
import random
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numbered_camera import read_number
from recording import write_record

from pvt_edge import load
from pvt_edge.sources import SourceOptions
from pvt_edge.streams import StreamRunner
from pvt_edge.streams.runner import open_sources

PYTHON = "/usr/bin/python3"  # the system's, which has GStreamer
CAMERA = Path(__file__).with_name("numbered_camera.py")
WANTED_S = 2.0  # from the server's return to the first frame


class Camera:
    """The server's process, on one port over all its lives."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [PYTHON, str(CAMERA), "--port", str(self.port), "--first-by-clock"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().split()[1])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def address(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"


class Frames:
    """What came of each stream: when, and which number."""

    def __init__(self) -> None:
        self.seen: list[list[tuple[float, int | None]]] = [[], []]
        self.crash = ""

    def gather(self, runner: StreamRunner) -> None:
        try:
            for result in runner:
                stream = result.frame.stream
                assert stream is not None
                self.seen[stream.id].append((time.monotonic(), read_number(result.image)))
        except Exception as error:  # what the study is there to find
            self.crash = f"{type(error).__name__}: {error}"

    def judge(self, stream: int) -> dict[str, int]:
        numbers = [number for _, number in self.seen[stream]]
        whole = [number for number in numbers if number is not None]
        return {
            "frames": len(numbers),
            "invented": len(numbers) - len(whole),
            "duplicated": len(whole) - len(set(whole)),
            "out_of_order": int((np.diff(whole) < 0).sum()),
        }


class Waits(logging.Handler):
    """The back-off's waits, as the log tells them."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.seconds: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "next attempt" in str(record.msg) and isinstance(record.args, tuple):
            self.seconds.append(float(str(record.args[1])))


def main(
    bundle: Annotated[Path, typer.Argument(help="The folder an export wrote.")],
    times: Annotated[int, typer.Option(min=1, help="How often the camera is killed.")] = 20,
    longest: Annotated[float, typer.Option(min=0, help="Seconds it stays dead at most.")] = 12.0,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Kill and restart a camera again and again, and tell what the stream made of it."""
    rng = random.Random(seed)
    waits, frames = Waits(), Frames()
    log = logging.getLogger("pvt_edge.streams")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(waits)
    victim, other = Camera(), Camera()
    rows = []
    try:
        with load(bundle, "openvino") as predictor:
            addresses = [victim.address, other.address]
            with open_sources(addresses, SourceOptions()) as sources:
                runner = StreamRunner(predictor, sources, predictor.choose_thresholds())
                thread = threading.Thread(target=frames.gather, args=(runner,))
                thread.start()
                _wait(lambda: bool(frames.seen[0]), thread)
                for number in range(times):
                    time.sleep(rng.uniform(0.5, 4.0))
                    rows.append(_outage(victim, frames, waits, rng.uniform(0, longest), thread))
                    print(f"{number + 1:3} dead {rows[-1]['dead_s']:5.1f} s, back in {rows[-1]['back_s']:.2f} s")
                time.sleep(1.0)
                statuses = runner.statuses()
                runner.stop()
                thread.join()
                runner.close()
    finally:
        victim.kill()
        other.kill()
    back = [row["back_s"] for row in rows]
    result = {
        "reconnects": statuses[0].reconnects,
        "crash": frames.crash,
        "killed": frames.judge(0),
        "left_alone": frames.judge(1) | {"reconnects": statuses[1].reconnects},
        "longest_gap_of_the_one_left_alone_s": round(max(np.diff([at for at, _ in frames.seen[1]])), 3),
        "back_s": {"p50": round(statistics.median(back), 3), "max": max(back), "wanted": WANTED_S},
        "late": sum(seconds > WANTED_S for seconds in back),
        "backoff_waits_s": {"count": len(waits.seconds), "max": round(max(waits.seconds), 2)},
        "outages": rows,
    }
    print(json.dumps({key: value for key, value in result.items() if key != "outages"}, indent=2))
    command = f"python benchmarks/studies/stream_faults.py BUNDLE --times {times} --longest {longest} --seed {seed}"
    write_record(json_path, command, result)


def _outage(camera: Camera, frames: Frames, waits: Waits, dead_s: float, thread: threading.Thread) -> dict[str, Any]:
    """Kill the camera and start it after so long; seconds from when it listens to its first frame's answer."""
    first_wait = len(waits.seconds)
    camera.kill()
    killed = time.monotonic()
    time.sleep(dead_s)
    camera.start()
    listens = time.monotonic()
    _wait(lambda: frames.seen[0][-1][0] > listens, thread)
    first = next(at for at, _ in frames.seen[0] if at > listens)
    in_force = waits.seconds[first_wait:]
    return {
        "dead_s": round(listens - killed, 2),
        "back_s": round(first - listens, 3),
        "backoff_in_force_s": round(in_force[-1], 2) if in_force else 0.0,
        "attempts": len(in_force),
    }


def _wait(condition: Callable[[], bool], thread: threading.Thread) -> None:
    until = time.monotonic() + 60
    while not condition() and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.005)
    if not condition():
        raise SystemExit("the stream did not come back within a minute")


if __name__ == "__main__":
    typer.run(main)
