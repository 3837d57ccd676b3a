"""The record's facts of what was run and on what: the model, and the machine."""

import os
import platform

from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.benchmarks.record import Machine, Model
from pvt_edge.benchmarks.roofline import read_costs
from pvt_edge.bundle import Bundle
from pvt_edge.errors import BundleError, RuntimeMissingError
from pvt_edge.machine.cpu import read_cpu
from pvt_edge.machine.installed import versions
from pvt_edge.runtimes import RUNTIMES, missing
from pvt_edge.runtimes.cuda import probe_cuda

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
    try:
        device = probe_cuda()
    except RuntimeMissingError:
        return None
    return f"{device.name}, compute capability {device.compute_capability}, driver {device.driver}, CUDA {device.cuda}"


def describe_model(
    bundle: Bundle, torch_model: TorchModel | str, judged_on: str | None, *, made_for_this: bool
) -> Model:
    """The bundle's model; `judged_on` is what its rows were judged on in this run, if they were."""
    manifest = bundle.manifest
    at_export = f"{manifest.accuracy.data}, measured at export" if manifest.accuracy else None
    return Model(
        variant=manifest.variant,
        task=manifest.task,
        height=manifest.input.height,
        width=manifest.input.width,
        weights=manifest.provenance.weights,
        bundle=None if made_for_this else bundle.folder.name,
        parameters=_parameters(torch_model),
        macs=_macs(bundle),
        accuracy_data=judged_on or at_export,
    )


def _parameters(torch_model: TorchModel | str) -> int | None:
    if isinstance(torch_model, str) or missing("torch") is not None:
        return None
    return sum(parameter.numel() for parameter in torch_model.load().parameters())


def _macs(bundle: Bundle) -> int | None:
    """Multiply-adds of one image, whichever rows were run; None where OpenVINO is not here to read the graph.

    Of the ONNX file where there is one: in the IR norms stand as products, which would be counted too.
    """
    if missing("openvino") is not None:
        return None
    batch = bundle.manifest.input.batch
    by_runtime = {artifact.runtime: artifact for artifact in bundle.manifest.artifacts if artifact.precision == "fp32"}
    for runtime in ("onnxruntime", "openvino"):
        if runtime in by_runtime:
            try:
                return read_costs(bundle.path(by_runtime[runtime]), batch).macs // batch
            except (BundleError, RuntimeError):  # its own row says so
                continue
    return None
