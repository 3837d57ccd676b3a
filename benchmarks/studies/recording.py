"""What the studies share: their results as files, and for those of streams one run, timed."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvt_edge.machine.cpu import read_cpu
from pvt_edge.predictor import Predictor
from pvt_edge.sinks import Sink
from pvt_edge.sources import open_source
from pvt_edge.streams import Delivery, StreamRunner, StreamStatus


def write_record(path: Path | None, command: str, found: dict[str, Any]) -> None:
    """Write `found` to `path`, with the command that finds it again; nothing where `path` is None."""
    if path is None:
        return
    machine = {"cpu": read_cpu().name, "cores": os.cpu_count(), "python": platform.python_version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"command": command, "machine": machine, **found}, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """Frames answered by stream, and how long it took by the clock and in processor time."""

    frames: list[int]
    wall_s: float
    cpu_s: float
    statuses: list[StreamStatus]


def run(predictor: Predictor, specs: Sequence[str], *, seconds: float | None = None, sinks: Sequence[Sink] = ()) -> Run:
    """All of the sources' frames, or what they give in `seconds`, as `pvt-edge predict` would run them."""
    sources = [open_source(spec) for spec in specs]
    thresholds = predictor.choose_thresholds()
    try:
        with StreamRunner(predictor, sources, thresholds) as runner, Delivery(sinks, live=runner.live) as delivery:
            started, cpu = time.perf_counter(), time.process_time()
            for result in runner:
                delivery.put(result)
                if seconds is not None and time.perf_counter() - started >= seconds:
                    runner.stop()
            wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
            statuses = runner.statuses()
    finally:
        for source in sources:
            source.close()
    return Run([status.frames for status in statuses], wall_s, cpu_s, statuses)


def record(path: Path | None, command: str, found: dict[str, Any]) -> None:
    """Print what was found and, where asked for, write it."""
    print(json.dumps(found, indent=2))
    write_record(path, command, found)
