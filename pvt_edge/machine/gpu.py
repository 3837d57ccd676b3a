"""NVIDIA's GPUs: as CUDA sees them, else as nvidia-smi does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvt_edge.machine.system_text import read_text, run_tool

QUERY = "--query-gpu=name,compute_cap,memory.total,driver_version"
FORMAT = "--format=csv,noheader,nounits"
MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """`compute_capability` reads "8.7"; `cuda` is the newest that the driver speaks, None where CUDA was not asked."""

    name: str
    compute_capability: str | None = None
    memory_mib: int | None = None
    driver: str | None = None
    cuda: str | None = None


def read_gpus(cuda: Mapping[str, Any]) -> tuple[Gpu, ...]:
    """The GPUs by what CUDA says of them ("gpus", as `CudaDevice` has it); by nvidia-smi where it says nothing."""
    if cuda.get("gpus"):
        return tuple(
            Gpu(g["name"], g["compute_capability"], g["memory_bytes"] // MIB, g["driver"], g["cuda"])
            for g in cuda["gpus"]
        )
    return parse_smi(run_tool("nvidia-smi", QUERY, FORMAT) or "")


def parse_smi(text: str) -> tuple[Gpu, ...]:
    """The GPUs of nvidia-smi's lines; what it does not know reads "[N/A]" or "[Not Supported]"."""
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines()]
    return tuple(
        Gpu(name, _known(capability), int(memory) if memory.isdecimal() else None, _known(driver))
        for name, capability, memory, driver in (row for row in rows if len(row) == 4)
    )


def read_driver(root: Path = Path("/")) -> str | None:
    """The version of NVIDIA's kernel driver, None without one."""
    for place in ("proc/driver/nvidia/version", "sys/module/nvidia/version"):
        found = re.search(r"\d+\.\d+(\.\d+)?", read_text(root / place))
        if found:
            return found[0]
    return None


def _known(text: str) -> str | None:
    return text if re.match(r"\d", text) else None
