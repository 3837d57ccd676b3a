"""A study's result as a file: what was found, with which command, on which machine."""

import json
import os
import platform
from pathlib import Path
from typing import Any

from pvt_edge.machine.cpu import read_cpu


def write_record(path: Path | None, command: str, found: dict[str, Any]) -> None:
    """Write `found` to `path`, with the command that finds it again; nothing where `path` is None."""
    if path is None:
        return
    machine = {"cpu": read_cpu().name, "cores": os.cpu_count(), "python": platform.python_version()}
    path.write_text(json.dumps({"command": command, "machine": machine, **found}, indent=2) + "\n")
