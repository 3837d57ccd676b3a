"""What fifty slow viewers of the live page cost the model.

    .venv/bin/python benchmarks/studies/stream_viewers.py out/demo/b0 --json benchmarks/results/stream_viewers.json

`pvt-edge predict` runs on a camera that is faster than the model. Periods without viewers and periods with fifty,
each taking 2 kB a second and coming back when it was dropped, take turns; their median rates are compared.
"""

import asyncio
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import typer
from recording import record

SETTLE_S = 3.0  # between periods


def main(
    bundle: Annotated[Path, typer.Argument(help="The folder an export wrote.")],
    viewers: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    rounds: Annotated[int, typer.Option(min=3, help="Periods of each kind.")] = 7,
    seconds: Annotated[float, typer.Option(min=2, help="Length of a period.")] = 10.0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Measure, print, and record."""
    script = shutil.which("pvt-edge", path=str(Path(sys.executable).parent))
    assert script, "pvt-edge is not installed in this environment"
    command = [script, "predict", str(bundle), "synthetic://cells?fps=120", "--serve", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            url = server.stderr.readline().split()[-1]
            wait_for_frames(url)
            rates: dict[int, list[float]] = {0: [], viewers: []}
            for _ in range(rounds):
                for count, values in rates.items():
                    values.append(asyncio.run(rate_with(url, count, seconds)))
            dropped = ask(url)["viewers_dropped"]
        finally:
            server.terminate()
    alone, watched = (statistics.median(values) for values in rates.values())
    found = {
        "fps without viewers": [round(value, 2) for value in rates[0]],
        f"fps with {viewers} slow viewers": [round(value, 2) for value in rates[viewers]],
        "change of the medians": round(watched / alone - 1, 4),
        "viewers dropped": dropped,
    }
    options = f"--viewers {viewers} --rounds {rounds} --seconds {seconds:g}"
    record(json_path, f"python benchmarks/studies/stream_viewers.py BUNDLE {options}", found)


def ask(url: str) -> dict:
    """What the page says of its streams."""
    with urlopen(f"{url}api/status", timeout=10) as reply:
        return json.load(reply)


def wait_for_frames(url: str) -> None:
    """Until the model is warm."""
    while ask(url)["streams"][0]["frames"] < 100:
        time.sleep(0.2)


async def rate_with(url: str, count: int, seconds: float) -> float:
    """Frames a second that are answered while `count` slow viewers watch."""
    watching = [asyncio.create_task(watch_slowly(url)) for _ in range(count)]
    await asyncio.sleep(SETTLE_S)
    frames, started = ask(url)["streams"][0]["frames"], time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (ask(url)["streams"][0]["frames"] - frames) / (time.perf_counter() - started)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    await asyncio.sleep(SETTLE_S)
    return rate


async def watch_slowly(url: str) -> None:
    """Take 2 kB of the video a second, for ever."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
            try:
                writer.write(b"GET /stream/0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                while await reader.read(2048):
                    await asyncio.sleep(1.0)
            finally:
                writer.close()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    typer.run(main)
