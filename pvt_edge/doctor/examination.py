"""What this machine can run, what is wrong with it, and combinations that are known to be bad, each with its mend."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pvt_edge.doctor.facts import Facts, Verdict, gather
from pvt_edge.doctor.probes import PATIENCE_S
from pvt_edge.machine.nvidia import CUDA_OF_JETPACK
from pvt_edge.runtimes import RUNTIMES, bundled_runtimes

Level = Literal["error", "warning", "hint"]
OLD_JETPACK = 5
OPENCV_WHEELS, ONNXRUNTIME_WHEELS = RUNTIMES["opencv"].distributions, RUNTIMES["onnxruntime"].distributions
NUMPY_ABI = ("_ARRAY_API", "compiled using NumPy 1", "numpy.core.multiarray failed", "numpy.dtype size changed")
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Advice:
    """What is wrong and what mends it. An error stops something from working, a warning costs, a hint is to know."""

    id: str
    level: Level
    text: str
    mend: str


@dataclass(frozen=True)
class Rule:
    """`text` and `mend` may name facts; the rule holds where `applies` gives a mapping of what they name, or True."""

    id: str
    level: Level
    applies: Callable[[Facts], object]
    text: str
    mend: str


def _several(facts: Facts, wheels: tuple[str, ...]) -> dict[str, str] | None:
    found = facts.pip(*wheels)
    return {"found": " and ".join(found), "all": " ".join(found)} if len(found) > 1 else None


def _pip_opencv_on_jetson(facts: Facts) -> dict[str, str] | None:
    found = facts.pip(*OPENCV_WHEELS)
    return {"found": " ".join(found)} if facts.jetson and found and not _has_backend(facts, "GStreamer") else None


def _has_backend(facts: Facts, name: str) -> bool:
    return facts.opencv is not None and name in facts.opencv.backends


def _major(facts: Facts, package: str) -> int | None:
    found = facts.packages.get(package)
    head = found.version.partition(".")[0] if found else ""
    return int(head) if head.isdecimal() else None


def _tensorrt_without_driver(facts: Facts) -> dict[str, str] | None:
    there = [name for name in ("tensorrt", "tensorrt-rtx") if name in facts.packages]
    if not there or facts.gpus or facts.driver or facts.jetson:
        return None
    mend = "start the container with --gpus all" if facts.system.container else "install NVIDIA's driver"
    return {"found": " and ".join(there), "mend": mend}


def _jetson_cuda(facts: Facts) -> dict[str, str] | None:
    wanted = CUDA_OF_JETPACK.get(facts.jetson.major or 0) if facts.jetson else None
    found = _major(facts, "cuda-bindings") or _major(facts, "cuda-python")
    if wanted is None or found is None or found == wanted:
        return None
    jetpack = str(facts.jetson.major if facts.jetson else "")
    return {"found": str(found), "wanted": str(wanted), "next": str(wanted + 1), "jetpack": jetpack}


def _driver_too_old(facts: Facts) -> dict[str, str] | None:
    found = _major(facts, "cuda-bindings") or _major(facts, "cuda-python")
    speaks = next((int(gpu.cuda.partition(".")[0]) for gpu in facts.gpus if gpu.cuda), None)
    reason = next((v.reason for v in facts.verdicts if v.reason and "driver speaks CUDA" in v.reason), None)
    if facts.jetson or found is None or (reason is None and (speaks is None or speaks >= found)):
        return None
    return {"found": str(found)}


def _quota(facts: Facts) -> dict[str, str] | None:
    quota, cores = facts.cpu.quota, facts.cpu.cores
    return (
        {"quota": f"{quota:g}", "cores": str(cores), "threads": str(max(int(quota), 1))}
        if quota and quota < cores
        else None
    )


def _bf16(facts: Facts) -> bool:
    return any("bf16" in device.precisions and device.name == "cpu" for device in facts.verdict("openvino").devices)


def _held_down(facts: Facts) -> dict[str, str] | None:
    mode = facts.jetson.power_mode if facts.jetson else None
    return {"mode": mode} if mode and not mode.startswith("MAXN") else None


def _gpu_unused(facts: Facts) -> dict[str, str] | None:
    used = any(device.name.startswith("cuda") for device in facts.verdict("onnxruntime").devices)
    if facts.jetson or not facts.gpus or used or not facts.verdict("onnxruntime").ready:
        return None
    return {"gpu": facts.gpus[0].name}


RULES = (
    Rule("opencv-absent", "error", lambda f: f.opencv is None and f.opencv_failure is None,
         "OpenCV is not installed: predict, val and verify read pictures and video with it",
         'pip install "pvt-edge[opencv]"; on a Jetson sudo apt install nvidia-opencv'),
    Rule("opencv-two-wheels", "error", lambda f: _several(f, OPENCV_WHEELS),
         "{found} are installed together and overwrite each other's files",
         "pip uninstall -y {all}, then pip install one of them"),
    Rule("opencv-numpy", "error", lambda f: any(mark in (f.opencv_failure or "") for mark in NUMPY_ABI),
         "OpenCV was compiled for another NumPy than is installed",
         'pip install "numpy<2" for an OpenCV of the system, else pip install -U opencv-python'),
    Rule("opencv-broken", "error", lambda f: f.opencv_failure and not any(m in f.opencv_failure for m in NUMPY_ABI)
         and {"failure": f.opencv_failure},
         "OpenCV is installed but does not import ({failure})",
         "pip install --force-reinstall opencv-python; where libGL or libgthread is missing, opencv-python-headless"),
    Rule("jetson-pip-opencv", "error", _pip_opencv_on_jetson,
         "pip's {found} hides JetPack's OpenCV and has no GStreamer: no CSI camera, no hardware decoder",
         "pip uninstall -y {found}, in an environment made with --system-site-packages"),
    Rule("jetson-no-gstreamer", "warning", lambda f: f.jetson and f.opencv and not f.pip(*OPENCV_WHEELS)
         and not _has_backend(f, "GStreamer"),
         "this OpenCV was built without GStreamer: no CSI camera, no hardware decoder",
         "sudo apt install nvidia-opencv, and remove the one that hides it"),
    Rule("jetson-pip-tensorrt", "error", lambda f: f.jetson and f.pip("tensorrt"),
         "pip's tensorrt hides JetPack's, which is built for this machine",
         "pip uninstall -y tensorrt, in an environment made with --system-site-packages"),
    Rule("jetson-old", "error", lambda f: f.jetson and f.jetson.major is not None and f.jetson.major <= OLD_JETPACK
         and {"jetpack": f.jetson.jetpack},
         "JetPack {jetpack} brings TensorRT 8.5 or older, whose parser has no LayerNormalization",
         "flash JetPack 6.1 or newer: docs/jetson.md"),
    Rule("jetson-cuda-python", "error", _jetson_cuda,
         "cuda-python {found} is for CUDA {found}, JetPack {jetpack} has CUDA {wanted}",
         'pip install "cuda-python>={wanted},<{next}"'),
    Rule("cuda-python-driver", "error", _driver_too_old,
         "cuda-python {found} wants a newer driver than the one here",
         'pip install "cuda-python<{found}", or update the driver'),
    Rule("tensorrt-no-driver", "warning", _tensorrt_without_driver,
         "{found} is installed and there is no NVIDIA driver: no engine runs here",
         "{mend}, or take another runtime"),
    Rule("onnxruntime-two-wheels", "error", lambda f: _several(f, ONNXRUNTIME_WHEELS),
         "{found} are installed together: the later one overwrote the other, and CUDA may be gone without a word",
         "pip uninstall -y {all}, then pip install one of them"),
    Rule("onnxruntime-no-cuda", "hint", _gpu_unused,
         "ONNX Runtime does not use the {gpu}",
         "pip uninstall -y onnxruntime, pip install onnxruntime-gpu, with CUDA and cuDNN of its release notes"),
    Rule("openvino-bf16", "hint", _bf16,
         "OpenVINO runs fp32 models in bfloat16 on this CPU unless told otherwise, its benchmark_app too",
         "for float32 say --precision fp32, and -infer_precision f32 to benchmark_app"),
    Rule("cpu-no-int8", "hint", lambda f: f.cpu.fast_int8 is False,
         "this CPU multiplies no 8-bit numbers faster (no VNNI, AMX or dot product): INT8 saves memory, hardly time",
         "time both: pvt-edge benchmark BUNDLE"),
    Rule("cpu-quota", "warning", _quota,
         "this container may use {quota} of the {cores} cores it sees, and runtimes start a thread for each",
         "pass --threads {threads}"),
    Rule("cpu-governor", "hint", lambda f: f.cpu.governor in ("powersave", "conservative", "ondemand", "schedutil")
         and {"governor": f.cpu.governor},
         "the CPU's clock follows the load (governor {governor}): first results and timings vary",
         "for timings: sudo cpupower frequency-set -g performance"),
    Rule("jetson-power", "hint", _held_down,
         "the Jetson is in power mode {mode}, which holds its clocks down",
         "for timings: sudo nvpmodel -m 0 && sudo jetson_clocks"),
    Rule("opencv-headless", "hint", lambda f: f.opencv and f.opencv.gui is None,
         "this OpenCV opens no windows: --show does not work",
         "pip uninstall -y opencv-python-headless && pip install opencv-python, or --serve HOST:PORT"),
    Rule("camera-locked", "warning", lambda f: f.system.locked and {"cameras": ", ".join(f.system.locked)},
         "this user may not open {cameras}",
         "sudo usermod -aG video $USER, and log in again"),
    Rule("wsl-cameras", "hint", lambda f: f.system.wsl and not f.system.cameras,
         "WSL shows no USB cameras",
         "attach one with usbipd, or read a network stream"),
)  # fmt: skip


def advise(facts: Facts) -> tuple[Advice, ...]:
    """What the rules say of this machine, the worst first."""
    found = []
    for rule in RULES:
        values = rule.applies(facts)
        if values:
            named = values if isinstance(values, dict) else {}
            found.append(Advice(rule.id, rule.level, rule.text.format(**named), rule.mend.format(**named)))
    order = ("error", "warning", "hint")
    return tuple(sorted(found, key=lambda advice: order.index(advice.level)))


@dataclass(frozen=True)
class Examination:
    """The facts with what they mean: each runtime's verdict, and advice, the worst first."""

    facts: Facts
    advice: tuple[Advice, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.facts.verdicts

    @property
    def can_run(self) -> bool:
        """Whether at least one runtime that bundles have files for is ready."""
        return any(verdict.ready for verdict in self.verdicts if verdict.name in bundled_runtimes())

    def to_json(self) -> dict[str, Any]:
        """As docs/doctor.md describes it."""
        f = self.facts
        cpu = asdict(f.cpu) | {"fast_int8": f.cpu.fast_int8, "fast_bf16": f.cpu.fast_bf16}
        return {
            "schema_version": SCHEMA_VERSION,
            "can_run": self.can_run,
            "runtimes": [asdict(verdict) for verdict in self.verdicts],
            "advice": [asdict(advice) for advice in self.advice],
            "system": asdict(f.system),
            "cpu": cpu,
            "gpus": [asdict(gpu) for gpu in f.gpus],
            "nvidia_driver": f.driver,
            "jetson": asdict(f.jetson) if f.jetson else None,
            "opencv": asdict(f.opencv) if f.opencv else None,
            "extras": {extra: {"complete": not lacks, "missing": list(lacks)} for extra, lacks in f.extras.items()},
            "packages": _of_interest(f),
        }


def examine(patience_s: float = PATIENCE_S) -> Examination:
    """This machine examined; each library has so many seconds to answer. Never raises for what is broken."""
    facts = gather(patience_s)
    return Examination(facts, advise(facts))


def _of_interest(facts: Facts) -> Mapping[str, str]:
    """Versions of what pvt-edge or a runtime is made of."""
    heads = ("pvt-edge", "torch", "onnx", "openvino", "nncf", "opencv", "tensorrt", "cuda", "nvidia", "numpy", "pycoco")
    return {name: package.version for name, package in sorted(facts.packages.items()) if name.startswith(heads)}
