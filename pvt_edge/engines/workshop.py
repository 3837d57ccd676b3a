"""Engines of a bundle's graphs: built, given their passports, and timed where they can run.

Runs on the device: neither torch nor onnx is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pvt_edge.bundle.schema import FileRecord, InputSpec, Precision
from pvt_edge.engines.engine import build_engine
from pvt_edge.errors import ExportError, RuntimeMissingError, UnknownNameError
from pvt_edge.options.build import BuildOptions
from pvt_edge.runtimes import RUNTIMES
from pvt_edge.runtimes.cuda import CudaDevice, probe_cuda
from pvt_edge.runtimes.passport import STATIC, batches_of, here
from pvt_edge.runtimes.tensorrt_library import TensorRtLibrary, load_library

LIBRARIES = ("tensorrt", "tensorrt-rtx")
TIMED_RUNS, TIMED_ROUNDS = 20, 5

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Workshop:
    """What builds engines here; TensorRT-RTX builds without a `device` too."""

    library: TensorRtLibrary
    device: CudaDevice | None


def open_workshop(name: str, options: BuildOptions) -> Workshop:
    """The workshop of the library `name`. Raises `RuntimeMissingError` for what is not here, with the mend.

    CUDA is probed before TensorRT is touched, which crashes without a driver.
    """
    if name not in LIBRARIES:
        raise UnknownNameError("library", name, LIBRARIES)
    options.check()
    device: CudaDevice | None = None
    try:
        device = probe_cuda()
    except RuntimeMissingError:
        if name == "tensorrt":
            raise
        if not options.target:
            raise ExportError(
                "TensorRT-RTX builds without a GPU, but must be told for which: give --target, such as sm86,sm89,sm120"
            ) from None
    library = load_library(name)
    options.check_for(library)
    return Workshop(library, device)


def write_engine(
    workshop: Workshop,
    onnx: Path,
    engine: Path,
    options: BuildOptions,
    *,
    precision: str,
    source: FileRecord,
    on_step: OnStep,
) -> dict[str, str]:
    """Build `onnx` into the file `engine`; returns its passport. Raises `ExportError` with the parser's words."""
    what = f"building {workshop.library.name} {precision}"

    def show(phase: str, done: int, total: int) -> None:
        on_step(f"{what}: {phase} {done}/{total}" if total else f"{what}: {phase}")

    on_step(what)
    built = build_engine(onnx, workshop.library, options, progress=show)
    engine.write_bytes(built.plan)
    low, best, high = options.batches or (0, 0, 0)
    return {
        **here(workshop.device, workshop.library),
        "hardware_compat": options.hardware_compat,
        "version_compatible": "yes" if options.version_compatible else "no",
        "target": ",".join(options.target),
        "precision": precision,
        "options": options.words(),
        "profile": f"{low}/{best}/{high}" if options.batches else STATIC,
        "source": source.file,
        "source_sha256": source.sha256,
        "built": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "build_seconds": f"{built.seconds:.1f}",
    }


def engine_latency(
    name: str, engines: Mapping[Precision, Path], passports: Mapping[Precision, Mapping[str, str]], spec: InputSpec
) -> dict[Precision, float]:
    """Median milliseconds on the GPU, copies included, of every engine; run in turns on grey pictures.

    Args:
        name: Of the library.
        engines: Built with one set of options; they need not lie in a bundle.
        passports: Theirs, as `write_engine` gave them.
        spec: Of the bundle's input.
    """
    opener: Any = RUNTIMES[name].opener
    feeds = {spec.name: np.full((_best_batch(passports, spec), spec.height, spec.width, 3), 128, np.uint8)}
    times: dict[Precision, list[float]] = {precision: [] for precision in engines}
    runtimes = {precision: opener(path, passport=passports[precision]) for precision, path in engines.items()}
    try:
        for _ in range(TIMED_ROUNDS):
            for precision, runtime in runtimes.items():
                latency = runtime.gpu_latency(feeds, TIMED_RUNS)
                times[precision] += latency.with_copies_ms
    finally:
        for runtime in runtimes.values():
            runtime.close()
    return {precision: median(values) for precision, values in times.items()}


def _best_batch(passports: Mapping[Precision, Mapping[str, str]], spec: InputSpec) -> int:
    """The batch that engines were built to be fastest with."""
    batches = batches_of(next(iter(passports.values())))
    return batches[1] if batches else spec.batch
