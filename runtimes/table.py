"""The table of runtimes: where each lives, what it needs installed and which precisions it takes."""

from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import cast

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.runtimes.boundary import one_line
from pvt_edge.runtimes.runtime import Runtime
from pvt_edge.runtimes.tensorrt_library import how_to_install

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
MOST_THREADS = 1024  # OpenCV and ONNX Runtime start as many as they are told to, until the machine gives out


@dataclass(frozen=True)
class RuntimeEntry:
    """One runtime: the class to open, the packages it imports, the extra with them, its precisions."""

    module: str
    class_name: str
    packages: tuple[str, ...]
    extra: str
    precisions: tuple[str, ...]


RUNTIMES = {
    "torch": RuntimeEntry(
        "pvt_edge.runtimes.torch", "TorchRuntime", ("torch",), "export", ("auto", "fp32", "bf16", "fp16")
    ),
    "onnxruntime": RuntimeEntry(
        "pvt_edge.runtimes.onnxruntime",
        "OnnxRuntime",
        ("onnxruntime",),
        "onnxruntime",
        ("auto", "fp32", "fp16", "int8"),
    ),
    "openvino": RuntimeEntry(
        "pvt_edge.runtimes.openvino",
        "OpenVinoRuntime",
        ("openvino",),
        "openvino",
        ("auto", "fp32", "bf16", "fp16", "int8"),
    ),
    "tensorrt": RuntimeEntry(
        "pvt_edge.runtimes.tensorrt",
        "TensorRtRuntime",
        ("tensorrt", "cuda.bindings"),
        "tensorrt",
        ("auto", "fp32", "fp16", "int8"),
    ),
    "tensorrt-rtx": RuntimeEntry(
        "pvt_edge.runtimes.tensorrt",
        "TensorRtRtxRuntime",
        ("tensorrt_rtx", "cuda.bindings"),
        "tensorrt-rtx",
        ("auto", "fp32", "fp16", "int8"),
    ),
    "opencv": RuntimeEntry("pvt_edge.runtimes.opencv", "OpenCvRuntime", ("cv2",), "opencv", ("auto", "fp32")),
}


def _entry(name: str) -> RuntimeEntry:
    if name not in RUNTIMES:
        raise UnknownNameError("runtime", name, RUNTIMES)
    return RUNTIMES[name]


def missing(name: str) -> str | None:
    """None when the runtime's packages are installed, else the reason it cannot run, with the mend.

    Raises `UnknownNameError` for a runtime that does not exist.
    """
    entry = _entry(name)
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


def available() -> tuple[str, ...]:
    """The runtimes whose packages are installed, in the table's order."""
    return tuple(name for name in RUNTIMES if missing(name) is None)


def require(name: str) -> None:
    """Import the runtime's packages. Raises `RuntimeMissingError` where one is absent or broken."""
    reason = missing(name)
    if reason is not None:
        raise RuntimeMissingError(reason)
    entry = _entry(name)
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
    legal = _entry(name).precisions
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
) -> Runtime:
    """The runtime `name` with the model file at `path` loaded.

    Raises `UnknownNameError` for names that do not exist, `RuntimeMissingError` where the package, the
    device or the precision is not here, `RuntimeInputError` for a precision the runtime or the file does not
    take, `BundleError` for a file that is missing or broken.
    """
    check_precision(name, precision)
    entry = _entry(name)
    opener = getattr(import_module(entry.module), entry.class_name)
    return cast(Runtime, opener(path, precision=precision, device=device, threads=threads))
