"""build_engine: a strongly typed ONNX file -> a serialised TensorRT engine, told as it goes, with Ctrl-C heard."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from pvt_edge.atomic import write_file
from pvt_edge.bundle.block_names import block_of
from pvt_edge.errors import ExportError
from pvt_edge.options.build import HARDWARE_COMPAT, BuildOptions
from pvt_edge.runtimes.tensorrt_library import TensorRtLibrary

Progress = Callable[[str, int, int], None]  # phase, steps done, steps in all
MIB = 1 << 20


def make_monitor(trt: Any, progress: Progress) -> Any:
    """An IProgressMonitor of the module `trt`; its `check` raises again what interrupted the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.outer: tuple[str, int] | None = None  # the phase that all others lie in, and its steps
            self.stopped: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if self.outer is None:
                self.outer = (phase_name, num_steps)
            self._report(phase_name, 0)

        def phase_finish(self, phase_name: str) -> None:
            if self.outer is not None:
                self._report(phase_name, self.outer[1])

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._report(phase_name, step)
            return self.stopped is None  # False stops the build

        def _report(self, phase: str, done: int) -> None:
            if self.outer is None or phase != self.outer[0]:
                return
            try:
                progress(phase, done, self.outer[1])
            except BaseException as stop:  # raised into C++ it would be lost
                self.stopped = stop

        def check(self) -> None:
            if self.stopped is not None:
                raise self.stopped

    return Monitor()


@dataclass(frozen=True)
class BuiltEngine:
    """The bytes of an engine, how long the build took, and what the builder said: [(severity, text)]."""

    plan: bytes
    seconds: float
    messages: tuple[tuple[str, str], ...]


def build_engine(
    onnx: Path, library: TensorRtLibrary, options: BuildOptions, *, progress: Progress | None = None
) -> BuiltEngine:
    """Build the ONNX file, every type as the graph has it. TensorRT proper wants CUDA probed before.

    Raises `ExportError`: for a file the parser does not take, in the parser's words with the block it failed in; for
    a build that failed, in the builder's; for options that do not fit the file.
    """
    trt, logger = library.module, library.logger()
    options.check_for(library)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # what a factory that returned nothing looks like from Python
        raise ExportError(f"{library.name} cannot start: {logger.errors() or error}") from error
    network = builder.create_network(library.network_flags())
    _parse(onnx, library, network, logger)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    _configure(config, library, options)
    _add_profile(builder, network, config, options)
    cache = _read_cache(config, options) if library.name == "tensorrt" else None  # TensorRT-RTX has none
    monitor = make_monitor(trt, progress) if progress else None
    if monitor is not None:
        config.progress_monitor = monitor
    started = perf_counter()
    plan = builder.build_serialized_network(network, config)
    seconds = perf_counter() - started
    if monitor is not None:
        monitor.check()
    if plan is None:
        raise ExportError(
            f"{library.name} {library.version} could not build {onnx.name}: {_shortened(logger.errors())}: give it "
            "more memory: --workspace MIB, or close other programs"
        )
    if cache is not None and options.timing_cache is not None:
        write_file(options.timing_cache, bytes(config.get_timing_cache().serialize()))
    return BuiltEngine(bytes(plan), seconds, tuple(logger.messages))


def _parse(onnx: Path, library: TensorRtLibrary, network: Any, logger: Any) -> None:
    parser = library.module.OnnxParser(network, logger)
    try:
        content = onnx.read_bytes()
    except OSError as error:
        raise ExportError(f"cannot read {onnx}: {error.strerror}") from error
    if parser.parse(content) and network.num_inputs:
        return
    errors = [_parser_error(parser.get_error(i)) for i in range(parser.num_errors)] or [
        logger.errors() or "it is empty"
    ]
    raise ExportError(
        f"{library.name} {library.version} does not take {onnx.name}: {_shortened('; '.join(errors))}: export it again "
        "with pvt-edge export, or take a newer TensorRT"
    )


def _parser_error(error: Any) -> str:
    """The parser's words, and the block of the node that it failed in."""
    name, words = str(error.node_name()), " ".join(str(error.desc()).split())
    if not name:
        return words
    place = block_of(name) if "#" in name else f"node {name}"
    return f"{place} ({error.node_operator()}): {words}"


def _configure(config: Any, library: TensorRtLibrary, options: BuildOptions) -> None:
    trt = library.module
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    if options.opt_level is not None:
        config.builder_optimization_level = options.opt_level
    if options.hardware_compat != "none":
        level = getattr(trt.HardwareCompatibilityLevel, HARDWARE_COMPAT[options.hardware_compat])
        config.hardware_compatibility_level = level
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.target:
        config.num_compute_capabilities = len(options.target)
        for index, name in enumerate(options.target):
            config.set_compute_capability(getattr(trt.ComputeCapability, name.upper()), index)


def _add_profile(builder: Any, network: Any, config: Any, options: BuildOptions) -> None:
    """The batches of a dynamic file; a static one takes no profile."""
    takes = network.get_input(0)
    shape = tuple(takes.shape)
    if shape[0] != -1:
        if options.batches:
            raise ExportError(
                f"the graph's batch is {shape[0]} and no other: leave the profile out, or export with --dynamic-batch"
            )
        return
    if not options.batches:
        raise ExportError("the graph takes any batch: say which the engine is for, lowest,best,highest such as 1,4,16")
    profile = builder.create_optimization_profile()
    profile.set_shape(takes.name, *((batch, *shape[1:]) for batch in options.batches))
    config.add_optimization_profile(profile)


def _read_cache(config: Any, options: BuildOptions) -> Any:
    """The timing cache in use: what the file holds, or an empty one where it is absent, broken or another GPU's.

    Raises `ExportError`, before the minutes that a build takes, for a place that no file can be kept in.
    """
    place = options.timing_cache
    if place is None:
        return None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        content = place.read_bytes() if place.exists() else b""
    except OSError as error:
        raise ExportError(
            f"cannot keep the timing cache {place}: {error.strerror or error}: name another file with --timing-cache"
        ) from error
    for cached in (content, b""):
        cache = config.create_timing_cache(cached)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None


def _shortened(text: str, longest: int = 600) -> str:
    text = text or "it gave no reason"
    return text if len(text) <= longest else text[: longest - 3] + "..."
