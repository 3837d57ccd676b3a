"""The machine in a few facts: processor, memory, GPU, versions."""

import os
import platform

from pvt_edge.benchmarks.record import Machine
from pvt_edge.errors import RuntimeMissingError
from pvt_edge.machine.cpu import read_cpu
from pvt_edge.machine.versions import versions
from pvt_edge.runtimes import RUNTIMES

PACKAGES = (
    *(name for entry in RUNTIMES.values() for name in entry.distributions),
    *("numpy", "cuda-python", "nncf", "onnx", "transformers"),
)


def describe_machine() -> Machine:
    """What the system tells of itself."""
    cpu = read_cpu()
    return Machine(
        cpu=cpu.name,
        cores=cpu.cores,
        memory_gib=round(_memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        gpu=_gpu(),
        features=cpu.features or (),
        versions=versions(PACKAGES),
    )


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _gpu() -> str | None:
    from pvt_edge.runtimes.cuda import probe_cuda

    try:
        device = probe_cuda()
    except RuntimeMissingError:
        return None
    return f"{device.name}, compute capability {device.compute_capability}, driver {device.driver}, CUDA {device.cuda}"
