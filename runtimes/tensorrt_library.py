"""The one adapter to TensorRT 10.0 to 11.x and TensorRT-RTX: what differs between them is asked for by name.

Capabilities are decided by what a module has, never by its version. Nothing here touches the GPU; whoever makes a
builder or a runtime of the library must have probed CUDA before, or TensorRT may crash for want of a driver.
"""

import platform
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pvt_edge.errors import RuntimeMissingError
from pvt_edge.runtimes.boundary import one_line

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
OLDEST = 10  # the major version
# Every version from 10.0 on has these; a module that lacks one is refused by name.
REQUIRED = (
    "Builder.create_network",
    "Builder.create_builder_config",
    "Builder.build_serialized_network",
    "Builder.create_optimization_profile",
    "Builder.num_DLA_cores",
    "BuilderFlag.VERSION_COMPATIBLE",
    "DataType.FLOAT",
    "HardwareCompatibilityLevel.AMPERE_PLUS",
    "HardwareCompatibilityLevel.NONE",
    "IBuilderConfig.add_optimization_profile",
    "IBuilderConfig.builder_optimization_level",
    "IBuilderConfig.create_timing_cache",
    "IBuilderConfig.get_timing_cache",
    "IBuilderConfig.hardware_compatibility_level",
    "IBuilderConfig.profiling_verbosity",
    "IBuilderConfig.progress_monitor",
    "IBuilderConfig.set_flag",
    "IBuilderConfig.set_memory_pool_limit",
    "IBuilderConfig.set_timing_cache",
    "ICudaEngine.create_engine_inspector",
    "ICudaEngine.create_execution_context",
    "ICudaEngine.get_tensor_dtype",
    "ICudaEngine.get_tensor_mode",
    "ICudaEngine.get_tensor_name",
    "ICudaEngine.get_tensor_profile_shape",
    "ICudaEngine.get_tensor_shape",
    "ICudaEngine.num_io_tensors",
    "IExecutionContext.execute_async_v3",
    "IExecutionContext.get_tensor_shape",
    "IExecutionContext.set_input_shape",
    "IExecutionContext.set_tensor_address",
    "ILogger.Severity",
    "INetworkDefinition.get_input",
    "INetworkDefinition.num_inputs",
    "IOptimizationProfile.set_shape",
    "IProgressMonitor",
    "ITimingCache.serialize",
    "LayerInformationFormat.JSON",
    "MemoryPoolType.WORKSPACE",
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
    "OnnxParser.get_error",
    "OnnxParser.num_errors",
    "OnnxParser.parse",
    "ParserError.desc",
    "ParserError.node_name",
    "ParserError.node_operator",
    "ProfilingVerbosity.DETAILED",
    "Runtime.deserialize_cuda_engine",
    "Runtime.engine_host_code_allowed",
    "TensorIOMode.INPUT",
    "nptype",
)


@dataclass(frozen=True)
class TensorRtLibrary:
    """An imported TensorRT: "tensorrt" or "tensorrt-rtx"."""

    name: str
    module: Any
    version: str

    def has(self, path: str) -> bool:
        """Whether the module has "BuilderFlag.VERSION_COMPATIBLE" and the like."""
        return _has(self.module, path)

    def logger(self) -> Any:
        """A logger that keeps what it is told: `messages` [(severity, text)], and `errors()` in one line."""
        return _make_logger(self.module)

    def network_flags(self) -> int:
        """The flags of a strongly typed network; the flag's value differs between versions."""
        return 1 << int(self.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def targets(self) -> tuple[str, ...]:
        """The GPUs that can be built for without having one, as "sm86"."""
        known = self.module.ComputeCapability.__members__ if self.has("ComputeCapability") else ()
        return tuple(name.lower() for name in known if name.startswith("SM"))


def load_library(name: str = "tensorrt") -> TensorRtLibrary:
    """The library `name`, imported. Raises `RuntimeMissingError`, with the mend, where it is absent or too old."""
    try:
        module = import_module(MODULES[name])
    except ModuleNotFoundError as error:
        raise RuntimeMissingError(f"{name} is not installed: {how_to_install(name)}") from error
    except Exception as error:  # a wheel for another platform fails with whatever its loader raises
        raise RuntimeMissingError(
            f"{name} is installed but does not import ({one_line(error)}): {how_to_install(name)}"
        ) from error
    version = str(getattr(module, "__version__", "unknown"))
    major = version.partition(".")[0]
    if name == "tensorrt" and major.isdecimal() and int(major) < OLDEST:
        raise RuntimeMissingError(
            f"TensorRT {version} is too old: PVT-v2 needs LayerNormalization whole and strongly typed, which came "
            "with 10.0; on a Jetson, JetPack 6.1 or newer brings it"
        )
    absent = [path for path in REQUIRED if not _has(module, path)]
    if absent:
        raise RuntimeMissingError(
            f"{name} {version} has no {', '.join(absent[:3])}, which pvt-edge needs: use TensorRT 10.0 to 11.x"
        )
    return TensorRtLibrary(name, module, version)


def how_to_install(name: str) -> str:
    """The mend for a library that is not there, on this kind of machine."""
    if name == "tensorrt-rtx":
        return 'pip install "pvt-edge[tensorrt-rtx]"'
    if platform.machine() == "aarch64":
        return (
            "on a Jetson it comes with JetPack: sudo apt install tensorrt python3-libnvinfer, and make the virtual "
            "environment with --system-site-packages"
        )
    return 'pip install "pvt-edge[tensorrt]"'


def _has(module: Any, path: str) -> bool:
    found = module
    for part in path.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def _make_logger(module: Any) -> Any:
    severity = module.ILogger.Severity

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.messages: list[tuple[str, str]] = []

        def log(self, level: Any, text: str) -> None:
            self.messages.append((level.name, str(text)))

        def errors(self) -> str:
            bad = {severity.ERROR.name, severity.INTERNAL_ERROR.name}
            return "; ".join(" ".join(text.split()) for level, text in self.messages if level in bad)

    return Logger()
