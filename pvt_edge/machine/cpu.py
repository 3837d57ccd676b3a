"""The processor: what speeds INT8 and half precision up, how many cores there are to use, how they are clocked."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from pvt_edge.machine.system import read_text

# Flags of /proc/cpuinfo, x86's and then ARM's
FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_fp16": "AVX-512 FP16",
    "amx_int8": "AMX INT8",
    "amx_bf16": "AMX BF16",
    "amx_fp16": "AMX FP16",
    "asimd": "NEON",
    "asimdhp": "NEON FP16",
    "asimddp": "dot product",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "sve": "SVE",
}
INT8 = {"AVX-VNNI", "AVX-512 VNNI", "AMX INT8", "dot product", "I8MM"}
BF16 = {"AVX-512 BF16", "AMX BF16", "BF16"}


@dataclass(frozen=True)
class Cpu:
    """`cores` are the logical CPUs that this process may use, `quota` the share of their time that its container may
    have, as a number of them, None without a limit.

    `features` are names out of `FEATURES`, None where the system does not tell. `governor` is Linux's for the clock.
    """

    name: str
    architecture: str
    cores: int
    quota: float | None = None
    features: tuple[str, ...] | None = None
    governor: str | None = None

    @property
    def fast_int8(self) -> bool | None:
        """Whether it multiplies 8-bit numbers faster than float32; None where that is unknown."""
        return None if self.features is None else bool(INT8 & {*self.features})

    @property
    def fast_bf16(self) -> bool | None:
        """Whether it computes in bfloat16; None where that is unknown."""
        return None if self.features is None else bool(BF16 & {*self.features})


def read_cpu(root: Path = Path("/")) -> Cpu:
    """This machine's, or that of another file system's `root`."""
    info = read_text(root / "proc/cpuinfo").splitlines()
    named = [_value(line) for line in info if line.lower().startswith(("model name", "hardware\t", "cpu model"))]
    flags = {flag for line in info if line.lower().startswith(("flags", "features")) for flag in _value(line).split()}
    return Cpu(
        named[0] if named else platform.processor() or platform.machine(),
        platform.machine(),
        usable_cores(),
        _quota(root),
        tuple(name for flag, name in FEATURES.items() if flag in flags) if flags else None,
        read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
    )


def usable_cores() -> int:
    """How many logical CPUs this process may use."""
    return len(usable_cpus())


def usable_cpus() -> set[int]:
    """The numbers of the logical CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _quota(root: Path) -> float | None:
    """Cores by the control group's limit, versions 2 and 1."""
    groups = root / "sys/fs/cgroup"
    parts = read_text(groups / "cpu.max").split()
    if not parts:
        parts = [read_text(groups / f"cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]):  # else "max", or -1
        return int(parts[0]) / int(parts[1])
    return None


def _value(line: str) -> str:
    return line.partition(":")[2].strip()
