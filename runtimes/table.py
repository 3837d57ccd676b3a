"""The table of runtimes: where each lives, what it needs, which files it runs and in which precisions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.runtimes.tensorrt_library import how_to_install

if TYPE_CHECKING:
    from pvt_edge.runtimes.runtime import ModelSpec
    from pvt_edge.runtimes.session import Session

# approx: floats whose graph is an approximation, run in bf16 where the runtime and the device have it
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "approx", "int8")
MOST_THREADS = 1024  # OpenCV and ONNX Runtime start as many as they are told to, until the machine gives out


@dataclass(frozen=True)
class RuntimeEntry:
    """One runtime: all that the rest of the package knows of it.

    Attributes:
        module: Where its class lies; importing it imports no library.
        class_name: The `Session` that opens a model file, and whose class methods ask the machine.
        packages: What it imports.
        extra: The extra of pvt-edge that brings them.
        distributions: Those that may have brought them; the first is what to install.
        precisions: What `open_runtime` takes besides "auto".
        format: What `pvt-edge export --format` calls its files; None where an export writes none.
        suffix: Of its files.
        reads: The runtime whose files it runs, where it has none of its own.
        rounds: Precision -> the precision of the file that is rounded to it as it is loaded.
        rounds_to: The one of these that it takes by itself, where the device has it.
        auto_rank: Its place in the order in which "auto" tries runtimes; None where "auto" never takes it.
        auto_precisions: What "auto" takes where the bundle does not say: the first that it has.
        needs_gpu: Whether it runs on NVIDIA GPUs alone, from an engine built for one of them.
        schedules: Whether it runs several callers side by side itself, and takes `hint` and `streams`.
        takes_spec: Whether its library does not say all that a file holds, so that it takes `spec`.
    """

    module: str
    class_name: str
    packages: tuple[str, ...]
    extra: str
    precisions: tuple[str, ...]
    distributions: tuple[str, ...] = ()
    format: str | None = None
    suffix: str = ".onnx"
    reads: str | None = None
    rounds: Mapping[str, str] = field(default_factory=dict)
    rounds_to: str | None = None
    auto_rank: int | None = None
    auto_precisions: tuple[str, ...] = ()
    needs_gpu: bool = False
    schedules: bool = False
    takes_spec: bool = False

    @property
    def opener(self) -> "type[Session]":
        """The runtime's class."""
        return cast("type[Session]", getattr(import_module(self.module), self.class_name))


# In the order in which tables show them; the first whose fp32 runs here is what others are compared with.
RUNTIMES = {
    "torch": RuntimeEntry(
        "pvt_edge.runtimes.torch",
        "TorchRuntime",
        packages=("torch",),
        extra="export",
        precisions=("fp32", "bf16", "fp16"),
        distributions=("torch",),
    ),
    "onnxruntime": RuntimeEntry(
        "pvt_edge.runtimes.onnxruntime",
        "OnnxRuntime",
        packages=("onnxruntime",),
        extra="onnxruntime",
        precisions=("fp32", "fp16", "approx", "int8"),
        distributions=(
            "onnxruntime",
            "onnxruntime-gpu",
            "onnxruntime-openvino",
            "onnxruntime-directml",
            "onnxruntime-qnn",
        ),
        format="onnx",
        auto_rank=3,
        auto_precisions=("int8", "approx", "fp32", "fp16"),
        takes_spec=True,
    ),
    "openvino": RuntimeEntry(
        "pvt_edge.runtimes.openvino",
        "OpenVinoRuntime",
        packages=("openvino",),
        extra="openvino",
        precisions=("fp32", "bf16", "fp16", "approx", "int8"),
        distributions=("openvino",),
        format="openvino",
        suffix=".xml",
        rounds={"bf16": "fp32", "fp16": "fp32"},
        rounds_to="bf16",
        auto_rank=2,
        auto_precisions=("int8", "approx", "fp32", "fp16"),
        schedules=True,
    ),
    "opencv": RuntimeEntry(
        "pvt_edge.runtimes.opencv",
        "OpenCvRuntime",
        packages=("cv2",),
        extra="opencv",
        precisions=("fp32",),
        distributions=(
            "opencv-python",
            "opencv-python-headless",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        ),
        reads="onnxruntime",
        auto_rank=4,
        auto_precisions=("fp32",),
        takes_spec=True,
    ),
    "tensorrt": RuntimeEntry(
        "pvt_edge.runtimes.tensorrt",
        "TensorRtRuntime",
        packages=("tensorrt", "cuda.bindings"),
        extra="tensorrt",
        precisions=("fp32", "fp16", "int8"),
        distributions=("tensorrt",),
        format="tensorrt",
        suffix=".engine",
        auto_rank=0,
        auto_precisions=("fp16", "int8", "fp32"),  # float16 until a clock has said that INT8 is faster
        needs_gpu=True,
    ),
    "tensorrt-rtx": RuntimeEntry(
        "pvt_edge.runtimes.tensorrt",
        "TensorRtRtxRuntime",
        packages=("tensorrt_rtx", "cuda.bindings"),
        extra="tensorrt-rtx",
        precisions=("fp32", "fp16", "int8"),
        distributions=("tensorrt-rtx",),
        format="tensorrt-rtx",
        suffix=".engine",
        auto_rank=1,
        auto_precisions=("fp16", "int8", "fp32"),
        needs_gpu=True,
    ),
}


def bundled_runtimes() -> tuple[str, ...]:
    """The runtimes that bundles have something for, in the order in which "auto" tries them."""
    ranked = [(entry.auto_rank, name) for name, entry in RUNTIMES.items() if entry.auto_rank is not None]
    return tuple(name for _, name in sorted(ranked))


def runtime_entry(name: str) -> RuntimeEntry:
    """The row called `name`; `UnknownNameError` names the nearest otherwise."""
    if name not in RUNTIMES:
        raise UnknownNameError("runtime", name, RUNTIMES)
    return RUNTIMES[name]


def missing(name: str) -> str | None:
    """None when the runtime's packages are installed, else the reason it cannot run, with the mend.

    Raises `UnknownNameError` for a runtime that does not exist.
    """
    entry = runtime_entry(name)
    for package in entry.packages:
        if not installed(package):
            mend = how_to_install(name) if package == "tensorrt" else f'pip install "pvt-edge[{entry.extra}]"'
            return f"the {name} runtime needs {package}: {mend}"
    return None


def installed(package: str) -> bool:
    """Whether the package, or "package.inner", can be found. Imports nothing: a broken one may end this process."""
    name, *inner = package.split(".")
    try:
        spec = find_spec(name)
        for part in inner:
            # not find_spec, which imports what is around a package to look for it
            name, around = f"{name}.{part}", spec.submodule_search_locations if spec else None
            spec = PathFinder.find_spec(name, around) if around is not None else None
    except (ModuleNotFoundError, KeyError):  # a finder's way to say no; a mere folder inside what is not imported
        return False
    # Python takes any folder of that name for a package without origin, and a bundle has such folders.
    return spec is not None and spec.origin is not None


def require(name: str) -> None:
    """Import the runtime's packages. Raises `RuntimeMissingError` where one is absent or broken."""
    reason = missing(name)
    if reason is not None:
        raise RuntimeMissingError(reason)
    entry = runtime_entry(name)
    for package in entry.packages:
        try:
            import_module(package)
        except Exception as error:  # a wheel for another platform fails with whatever its loader raises
            raise RuntimeMissingError(
                f"{package} is installed but does not import ({one_line(error)}): "
                f'pip install --force-reinstall "pvt-edge[{entry.extra}]"'
            ) from error


def check_precision(name: str, precision: str) -> None:
    """Raise `UnknownNameError` for no precision, `RuntimeInputError` for one the runtime does not take."""
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    legal = ("auto", *runtime_entry(name).precisions)
    if precision not in legal:
        raise RuntimeInputError(f"the {name} runtime takes precision {', '.join(legal)}; got {precision}")


def check_threads(threads: object) -> None:
    """Raise `RuntimeInputError` unless `threads` is None (the runtime's choice) or whole, 1 to `MOST_THREADS`."""
    if threads is None:
        return
    # NumPy's integers are Integral too, and so is True.
    if isinstance(threads, bool) or not isinstance(threads, Integral) or not 1 <= int(threads) <= MOST_THREADS:
        raise RuntimeInputError(
            f"threads must be at least 1 and at most {MOST_THREADS}, a whole number, or None for the runtime's "
            f"choice; got {threads!r}"
        )


def open_runtime(
    name: str,
    path: str | Path,
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    hint: Literal["latency", "throughput"] = "latency",
    streams: int | None = None,
    spec: "ModelSpec | None" = None,
) -> "Session":
    """The runtime with a model file loaded.

    Args:
        name: A row of `RUNTIMES`.
        path: The model file.
        precision: What to run in, or "auto".
        device: "cpu", "cuda:0", "gpu" ... as the runtime names them, or "auto".
        threads: On the CPU; None leaves the choice to the runtime.
        hint: What a runtime that schedules several callers is tuned for; others leave it.
        streams: How many callers such a runtime serves at once; None leaves the choice to it.
        spec: What the file holds, as a bundle's `model.json` says (`Bundle.spec`); read from the file where None.

    Raises:
        UnknownNameError: No runtime or precision is called that.
        RuntimeMissingError: The package, the device or the precision is not here.
        RuntimeInputError: The runtime or the file does not take the precision.
        BundleError: The file is missing or broken.
    """
    check_precision(name, precision)
    entry = runtime_entry(name)
    more: dict[str, object] = {"hint": hint, "streams": streams} if entry.schedules else {}
    if entry.takes_spec:
        more["spec"] = spec
    opener = cast("Callable[..., Session]", entry.opener)
    return opener(path, precision=precision, device=device, threads=threads, **more)
