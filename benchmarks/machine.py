"""The machine in a few facts: processor, memory, GPU, versions."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pvt_edge.benchmarks.record import Machine
from pvt_edge.errors import RuntimeMissingError
from pvt_edge.export.provenance import cpu_name

PACKAGES = (
    *("torch", "onnxruntime", "onnxruntime-gpu", "openvino", "opencv-python", "opencv-python-headless", "numpy"),
    *("tensorrt", "tensorrt-rtx", "cuda-python", "nncf", "onnx"),
)
FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimddp",
    "i8mm",
    "bf16",
)


def describe_machine() -> Machine:
    """What the system tells of itself."""
    return Machine(
        cpu=cpu_name(),
        cores=usable_cores(),
        memory_gib=round(_memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        gpu=_gpu(),
        features=_features(),
        versions=_versions(),
    )


def usable_cores() -> int:
    """The logical CPUs that this process may use."""
    return len(usable_cpus())


def usable_cpus() -> set[int]:
    """Their numbers."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _features() -> tuple[str, ...]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ()
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return tuple(name for name in FEATURES if name in flags)


def _gpu() -> str | None:
    from pvt_edge.runtimes.cuda import probe_cuda

    try:
        device = probe_cuda()
    except RuntimeMissingError:
        return None
    return f"{device.name}, compute capability {device.compute_capability}, driver {device.driver}, CUDA {device.cuda}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
