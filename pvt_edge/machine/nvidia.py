"""NVIDIA's GPUs, as CUDA sees them or else nvidia-smi; and a Jetson: which one, with which JetPack and power mode."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvt_edge.machine.system import read_text, run_tool

QUERY = "--query-gpu=name,compute_cap,memory.total,driver_version"
FORMAT = "--format=csv,noheader,nounits"
MIB = 2**20
# NVIDIA's archive of releases: https://developer.nvidia.com/embedded/jetpack-archive
JETPACK_OF_L4T = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7, 39: 7}
CUDA_OF_JETPACK = {6: 12, 7: 13}  # of those whose TensorRT can run a PVT-v2
RELEASE, MODEL = "etc/nv_tegra_release", "proc/device-tree/model"


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


@dataclass(frozen=True)
class Jetson:
    """`l4t` is NVIDIA's Linux, "36.4.3"; `jetpack` "6.2", or only "6" where no package tells more."""

    model: str
    l4t: str | None = None
    jetpack: str | None = None
    power_mode: str | None = None

    @property
    def major(self) -> int | None:
        """JetPack's."""
        found = re.match(r"\d+", self.jetpack or "")
        return int(found[0]) if found else None


def is_jetson(root: Path = Path("/")) -> bool:
    """Whether this machine is one; in a container either of the two files may be missing."""
    return bool(read_text(root / RELEASE)) or "jetson" in read_text(root / MODEL).lower()


def read_jetson(root: Path = Path("/")) -> Jetson | None:
    """The Jetson that this machine is, None for another one."""
    if not is_jetson(root):
        return None
    release, model = read_text(root / RELEASE), read_text(root / MODEL).strip("\0 \n")
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    l4t = f"{found[1]}.{found[2]}" if found else None
    packaged = re.match(r"[\d.]+", run_tool("dpkg-query", "-W", "-f=${Version}", "nvidia-jetpack") or "")
    by_l4t = JETPACK_OF_L4T.get(int(found[1])) if found else None
    mode = re.search(r"NV Power Mode: *(\S+)", run_tool("nvpmodel", "-q") or "")
    return Jetson(
        model or "an NVIDIA Jetson",
        l4t,
        packaged[0] if packaged else str(by_l4t) if by_l4t else None,
        mode[1] if mode else None,
    )
