"""Everything to know of a bundle on an NVIDIA GPU, in one run: do its engines agree with FP32, and how fast are they.

    python benchmarks/studies/gpu_check.py out/b0-detect --seconds 20 --json benchmarks/results/gpu_orin.json

Engines that the bundle lacks are built in a copy of it. Parity: detections, classes or maps against ONNX Runtime's FP32
on the CPU, on generated scenes. Latency: from host array to host array, in turns, percentiles of every call; and on the
GPU's own clock, with the copies and without. What cannot run here is recorded with its reason. Compare the ratios.
"""

import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pvt_edge.bundle import Bundle, read_bundle
from pvt_edge.engines.bundle_build import build_bundle
from pvt_edge.errors import PvtEdgeError
from pvt_edge.export.precision.record import Latency
from pvt_edge.export.precision.trial import measure
from pvt_edge.machine.cpu import read_cpu
from pvt_edge.machine.installed import versions
from pvt_edge.runtimes import Runtime, open_runtime
from pvt_edge.runtimes.cuda import CudaDevice, probe_cuda
from pvt_edge.runtimes.tensorrt_library import load_library
from pvt_edge.scenes import draw_scene
from pvt_edge.tasks import agreement

LIBRARIES = ("tensorrt", "tensorrt-rtx")
PACKAGES = ("pvt-edge", "numpy", "cuda-bindings", "torch", "onnxruntime", "onnxruntime-gpu")
GPU_RUNS = 200
FIRST_SEED = 1000  # calibration and training draw theirs lower

Feeds = dict[str, np.ndarray]
Run = Callable[[], object]


@dataclass
class Findings:
    """What was measured, by contestant ("tensorrt fp16"), and why the rest was not ("parity of tensorrt int8")."""

    passports: dict[str, dict[str, str]] = field(default_factory=dict)
    parity: dict[str, dict[str, float]] = field(default_factory=dict)
    ms: dict[str, Latency] = field(default_factory=dict)
    gpu_ms: dict[str, dict[str, Latency]] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)

    def attempt(self, what: str, step: Callable[[], Any]) -> Any:
        """What `step` returns; None, with its reason kept under `what`, where it fails."""
        print(what, flush=True)
        try:
            return step()
        except Exception as error:  # one part that fails must not take the others with it
            text = " ".join(str(error).split())
            self.not_run[what] = text if isinstance(error, PvtEdgeError) else f"{type(error).__name__}: {text}"
            print(f"  not run: {self.not_run[what][:300]}", flush=True)
            return None

    def to_json(self) -> dict[str, Any]:
        """The findings as plain data, with the ratios."""
        plain = asdict(self)
        plain["ms"] = {name: latency.model_dump() for name, latency in self.ms.items()}
        plain["gpu_ms"] = {
            name: {kind: latency.model_dump() for kind, latency in kinds.items()} for name, kinds in self.gpu_ms.items()
        }
        return {**plain, "ratios": ratios(self.ms)}


def main(
    bundle: Annotated[Path, typer.Argument(help="The folder an export wrote, with --format onnx,tensorrt.")],
    seconds: Annotated[float, typer.Option(help="Of timing, for all contestants together.")] = 20,
    scenes: Annotated[int, typer.Option(min=1, help="Generated pictures that parity is judged on.")] = 16,
    compile_mode: Annotated[str, typer.Option(help="Of torch.compile: max-autotune or default.")] = "max-autotune",
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Build what is missing, judge and time every engine beside torch and ONNX Runtime, print and record it."""
    try:
        device = probe_cuda()
        given = read_bundle(bundle)
    except PvtEdgeError as error:
        typer.echo(f"gpu_check: error: {error}", err=True)
        raise typer.Exit(1) from None
    facts = {
        "command": f"python benchmarks/studies/gpu_check.py BUNDLE --seconds {seconds:g} --scenes {scenes} "
        f"--compile-mode {compile_mode}",
        "machine": machine(device),
        "versions": library_versions(),
        "bundle": describe(given),
    }
    print(", ".join(f"{key} {value}" for key, value in {**facts["machine"], **facts["versions"]}.items()))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(given.folder, Path(folder) / "bundle")
        findings = examine(read_bundle(Path(folder) / "bundle"), seconds, scenes, compile_mode)
    report(findings)
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps({**facts, **findings.to_json()}, indent=2) + "\n", encoding="utf-8")


def examine(bundle: Bundle, seconds: float, scenes: int, compile_mode: str) -> Findings:
    """Every stage in order; `bundle` is ours to build in."""
    found = Findings()
    for library in LIBRARIES:
        bundle = found.attempt(f"building {library}", partial(with_engines, bundle, library)) or bundle
    spec = bundle.manifest.input
    pictures = [draw_scene(FIRST_SEED + i, spec.height, spec.width).image for i in range(scenes)]
    batches = [{spec.name: np.repeat(picture[None], spec.batch, axis=0)} for picture in pictures]
    with ExitStack() as stack:
        engines: dict[str, Runtime] = {}
        for artifact in bundle.manifest.artifacts:
            if artifact.runtime in LIBRARIES:
                name = f"{artifact.runtime} {artifact.precision}"
                opened = found.attempt(f"opening {name}", partial(open_artifact, bundle, *name.split(), "auto"))
                if opened is not None:
                    engines[name] = stack.enter_context(opened)
                    found.passports[name] = dict(artifact.passport or {})
        reference = found.attempt("FP32 answers of ONNX Runtime", partial(reference_answers, bundle, batches))
        for name, engine in engines.items() if reference else ():
            figures = found.attempt(f"parity of {name}", partial(parity, bundle, engine, batches, reference))
            if figures is not None:
                found.parity[name] = figures
        for name, engine in engines.items():
            gpu = found.attempt(f"GPU clock of {name}", partial(gpu_latency, engine, batches[0]))
            if gpu is not None:
                found.gpu_ms[name] = gpu
        feeds, pixels = batches[0], batches[0][spec.name]
        contestants: dict[str, Callable[[], Run]] = {
            **{name: partial(warmed, engine, feeds) for name, engine in engines.items()},
            "onnxruntime cuda fp16": partial(onnxruntime_run, bundle, feeds, stack),
            "torch fp16": partial(torch_run, bundle, pixels),
            f"torch.compile fp16 {compile_mode}": partial(torch_run, bundle, pixels, compile_mode=compile_mode),
        }
        made = {name: found.attempt(f"warming up {name}", make) for name, make in contestants.items()}
        runs = {name: run for name, run in made.items() if run is not None}
        found.ms = (found.attempt("timing in turns", partial(measure, runs, seconds)) if runs else None) or {}
    found.not_run = {what: why.replace(str(bundle.folder), "BUNDLE") for what, why in found.not_run.items()}
    return found


def with_engines(bundle: Bundle, library: str) -> Bundle:
    """The bundle, with an engine of `library` for each of its graphs."""
    graphs = set(bundle.manifest.tensorrt.graphs) if bundle.manifest.tensorrt else set()
    precisions = {artifact.precision for artifact in bundle.manifest.artifacts if artifact.runtime == library}
    return bundle if graphs and graphs <= precisions else build_bundle(bundle.folder, library=library)


def open_artifact(bundle: Bundle, runtime: str, precision: str, device: str) -> Runtime:
    """The runtime of one of the bundle's files."""
    path = bundle.path(bundle.artifact(runtime, precision))
    return open_runtime(runtime, path, precision=precision, device=device)


def answers(runtime: Runtime, batches: list[Feeds]) -> list[Feeds]:
    """Outputs for every picture, batch axis of 1."""
    return [{name: array[:1] for name, array in runtime.infer(feeds).items()} for feeds in batches]


def reference_answers(bundle: Bundle, batches: list[Feeds]) -> list[Feeds]:
    """What FP32 gives on the CPU."""
    with open_artifact(bundle, "onnxruntime", "fp32", "cpu") as runtime:
        return answers(runtime, batches)


def parity(bundle: Bundle, engine: Runtime, batches: list[Feeds], reference: list[Feeds]) -> dict[str, float]:
    """How far the engine's answers agree with the reference's, by the task's own figures."""
    return agreement(bundle.manifest.task, answers(engine, batches), reference, bundle.manifest.postprocess)


def gpu_latency(engine: Any, feeds: Feeds) -> dict[str, Latency]:
    """Percentiles on the GPU's clock: the network alone, and with the copies in and out."""
    measured = engine.gpu_latency(feeds, GPU_RUNS)
    return {"compute": percentiles(measured.compute_ms), "with copies": percentiles(measured.with_copies_ms)}


def warmed(runtime: Runtime, feeds: Feeds) -> Run:
    """A run of `runtime` that has worked once."""
    runtime.infer(feeds)
    return partial(runtime.infer, feeds)


def onnxruntime_run(bundle: Bundle, feeds: Feeds, stack: ExitStack) -> Run:
    """The FP16 graph in ONNX Runtime on CUDA, run once."""
    return warmed(stack.enter_context(open_artifact(bundle, "onnxruntime", "fp16", "cuda")), feeds)


def torch_run(
    bundle: Bundle, batch: np.ndarray, *, compile_mode: str | None = None, device: str = "cuda"
) -> Callable[[], list[np.ndarray]]:
    """The model as it was trained, in FP16, from host array to the outputs as host arrays; run once.

    Weights other than the bundled ones are not in a bundle: random ones take as long. Of a detector's heads it is then
    the default one.
    """
    import torch

    torch.backends.cudnn.benchmark = True  # or a competitor is timed with kernels that nobody chose
    from pvt_edge.checkpoints.preprocessing import normalise
    from pvt_edge.models.anchors import Decode
    from pvt_edge.models.detector import Detector
    from pvt_edge.zoo import create_model

    manifest = bundle.manifest
    weights = "cells" if manifest.provenance.weights == "cells" else None
    model = create_model(manifest.variant, manifest.task, num_classes=len(manifest.labels) or None, weights=weights)
    model = model.to(device).half()
    decode = None
    if isinstance(model, Detector):
        decode = Decode(model.config, model.num_classes, (manifest.input.height, manifest.input.width)).to(device)

    def forward(images: torch.Tensor) -> Any:
        outputs = model(normalise(images).half())
        if decode is None:
            return outputs
        logits, deltas = ([level.float() for level in levels] for levels in outputs)
        return decode(logits, deltas)

    called = torch.compile(forward, mode=compile_mode) if compile_mode else forward

    def run() -> list[np.ndarray]:
        with torch.inference_mode():
            outputs = called(torch.from_numpy(batch).to(device))
            return [tensor.cpu().numpy() for tensor in ((outputs,) if torch.is_tensor(outputs) else outputs)]

    run()
    return run


def ratios(ms: Mapping[str, Latency]) -> dict[str, dict[str, float]]:
    """How many times faster each engine is than every other contestant, by medians."""
    return {
        engine: {other: round(ms[other].p50 / ms[engine].p50, 3) for other in ms if other != engine}
        for engine in ms
        if engine.startswith(LIBRARIES)
    }


def percentiles(milliseconds: list[float]) -> Latency:
    """Of all that was timed."""
    p50, p90, p99 = (round(float(value), 4) for value in np.percentile(milliseconds, (50, 90, 99)))
    return Latency(p50=p50, p90=p90, p99=p99, inferences=len(milliseconds))


def machine(device: CudaDevice) -> dict[str, Any]:
    """The GPU, what drives it, and the clocks it is held to."""
    gpu = {key: value for key, value in asdict(device).items() if key != "index"}
    gpu["gpu"] = gpu.pop("name")
    return {
        **gpu,
        "cpu": read_cpu().name,
        "cores": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
        "clocks": clocks(),
    }


def clocks() -> str:
    """The power mode of a Jetson, or the clocks and power limit of a desktop GPU, as their tools tell them."""
    query = "--query-gpu=clocks.sm,clocks.max.sm,clocks.mem,power.limit"
    for command in (["nvpmodel", "-q"], ["nvidia-smi", query, "--format=csv,noheader"]):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if not done.returncode:
                return " ".join(done.stdout.split())
    return "unknown"


def library_versions() -> dict[str, str]:
    """Of what is installed."""
    found = versions(PACKAGES)
    for library in LIBRARIES:  # JetPack's is no package of pip's
        with suppress(PvtEdgeError):
            found[library] = load_library(library).version
    return found


def describe(bundle: Bundle) -> dict[str, Any]:
    """What was examined."""
    manifest = bundle.manifest
    return {
        "variant": manifest.variant,
        "task": manifest.task,
        "imgsz": [manifest.input.height, manifest.input.width],
        "batch": manifest.input.batch,
        "weights": manifest.provenance.weights,
        "graphs": {a.file: a.sha256 for a in manifest.artifacts if a.runtime == "onnxruntime"},
    }


def report(found: Findings) -> None:
    """Print what was found."""
    for name, figures in found.parity.items():
        print(f"{name:28} " + ", ".join(f"{key} {value:.4f}" for key, value in figures.items()))
    rows = {**found.ms, **{f"{n}, {kind}": ms for n, kinds in found.gpu_ms.items() for kind, ms in kinds.items()}}
    for name, ms in rows.items():
        print(f"{name:28} p50 {ms.p50:8.3f}  p90 {ms.p90:8.3f}  p99 {ms.p99:8.3f} ms")
    for engine, others in ratios(found.ms).items():
        print(f"{engine} against " + ", ".join(f"{other} {ratio:.2f}x" for other, ratio in others.items()))


if __name__ == "__main__":
    typer.run(main)
