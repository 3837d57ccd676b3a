"""CUDA as far as pvt-edge uses it: what GPU is here, and memory, a stream, a graph and a stopwatch on it.

Over `cuda.bindings.runtime` of cuda-python, 12.x or 13.x, whose names are the same; torch is not needed. Numbers for
addresses are device addresses unless they say otherwise.
"""

import ctypes
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import RuntimeMissingError
from pvt_edge.runtimes.boundary import one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_DEVICE, _OLD_DRIVER, _NO_MEMORY = 100, 35, 2
_DRIVER_VERSION = Path("/proc/driver/nvidia/version")
_JETSON_RELEASE = Path("/etc/nv_tegra_release")


class CudaError(Exception):
    """A call of CUDA that failed; runtimes turn it into an error of ours at their boundary."""


@dataclass(frozen=True)
class CudaDevice:
    """A GPU that is here and answers."""

    index: int
    name: str  # "Orin"
    compute_capability: str  # "8.7"
    integrated: bool  # whether it shares the host's memory, as on a Jetson
    memory_bytes: int
    driver: str
    cuda: str  # the newest that the driver speaks: "12.6"


def bindings() -> Any:
    """The module cuda.bindings.runtime. Raises `RuntimeMissingError` where it is absent or broken."""
    mend = 'pip install "pvt-edge[tensorrt]"; on a Jetson "cuda-python>=12.8,<13" for JetPack 6, ">=13" for JetPack 7'
    try:
        from cuda.bindings import runtime
    except ModuleNotFoundError as error:
        raise RuntimeMissingError(f"TensorRT needs cuda-python, which is not installed: {mend}") from error
    except Exception as error:  # a wheel for another platform fails with whatever its loader raises
        raise RuntimeMissingError(
            f"cuda-python is installed but does not import ({one_line(error)}): {mend}"
        ) from error
    return runtime


def check(result: tuple[Any, ...]) -> Any:
    """What a call returned, without its status. Raises `CudaError` with CUDA's name and words for it."""
    status, *values = result
    if int(status):
        raise CudaError(_words(status))
    return values[0] if len(values) == 1 else tuple(values)


def _words(status: Any) -> str:
    if int(status) == _NO_MEMORY:
        return "not enough GPU memory: close other programs, or take a smaller batch or image size"
    text = bindings().cudaGetErrorString(status)[1]
    return f"{status.name}: {text.decode() if isinstance(text, bytes) else text}"


def probe_cuda(device: str = "auto") -> CudaDevice:
    """The GPU of the name "auto", "cuda" or "cuda:1". Touches CUDA only: TensorRT crashes where there is no driver.

    Raises `RuntimeMissingError` that says what is missing: cuda-python, the driver, the GPU.
    """
    index = _index(device)
    cuda = bindings()
    status, count = cuda.cudaGetDeviceCount()
    speaks = _version(cuda.cudaDriverGetVersion()[1])
    if int(status) == _OLD_DRIVER and speaks != "0.0":
        wanted, newest = _version(cuda.cudaRuntimeGetVersion()[1]), int(speaks.partition(".")[0]) + 1
        raise RuntimeMissingError(
            f"the NVIDIA driver speaks CUDA {speaks}, cuda-python here wants {wanted}: "
            f'pip install "cuda-python<{newest}", or update the driver'
        )
    if int(status) in (_OLD_DRIVER, _NO_DEVICE) or (not int(status) and not count):
        what = "no NVIDIA driver" if int(status) == _OLD_DRIVER else "an NVIDIA driver, but no GPU"
        raise RuntimeMissingError(f"there is {what} here: {_driver_mend()}")
    if int(status):
        raise RuntimeMissingError(f"CUDA does not start ({_words(status)}): {_driver_mend()}")
    if index >= count:
        raise RuntimeMissingError(f"there is no cuda:{index} here: the GPUs are cuda:0 to cuda:{count - 1}")
    try:
        properties = check(cuda.cudaGetDeviceProperties(index))
    except CudaError as error:
        raise RuntimeMissingError(f"cuda:{index} does not answer ({error}): {_driver_mend()}") from error
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    return CudaDevice(
        index=index,
        name=name.rstrip("\0"),
        compute_capability=f"{properties.major}.{properties.minor}",
        integrated=bool(properties.integrated),
        memory_bytes=int(properties.totalGlobalMem),
        driver=_driver(speaks),
        cuda=speaks,
    )


def _index(device: str) -> int:
    kind, _, index = device.partition(":")
    if device == "auto" or (kind == "cuda" and (index or "0").isdecimal()):
        return int(index or 0)
    raise RuntimeMissingError(f"TensorRT has no device {device!r}: use 'auto', 'cuda' or 'cuda:1'")


def _version(number: int) -> str:
    """ "12.6" of 12060."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver(speaks: str) -> str:
    """The driver's own version, or where the system does not tell it the CUDA it speaks."""
    with suppress(OSError, IndexError):
        return _DRIVER_VERSION.read_text().split("Module", 1)[1].split()[0]
    with suppress(OSError, IndexError):
        return _JETSON_RELEASE.read_text().lstrip("# ").splitlines()[0]
    return f"CUDA {speaks}"


def _driver_mend() -> str:
    if platform.machine() == "aarch64":
        return "on a Jetson flash JetPack 6.1 or newer; in a container start it with --runtime nvidia"
    return "install NVIDIA's driver (nvidia-smi must list the GPU); in a container start it with --gpus all"


def use_gpu(index: int) -> None:
    """Let what this thread asks of CUDA go to that GPU; a thread that was never told so has the first."""
    check(bindings().cudaSetDevice(index))


class Owned:
    """Something of CUDA's, freed once: by `close`, or when the last reference goes."""

    def __init__(self, value: Any, free: Callable[[Any], Any]) -> None:
        self.value: Any = value
        self._free: Callable[[Any], Any] | None = free

    def close(self) -> None:
        """Free it; a second call does nothing."""
        free, self._free = self._free, None
        if free is not None:
            free(self.value)

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


def make_stream() -> Owned:
    """A stream that does not wait for the default one."""
    cuda = bindings()
    return Owned(check(cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking)), cuda.cudaStreamDestroy)


def make_event() -> Owned:
    """A point in a stream that the time can be read at."""
    cuda = bindings()
    return Owned(check(cuda.cudaEventCreate()), cuda.cudaEventDestroy)


def device_memory(size: int) -> Owned:
    """`size` bytes on the GPU; the value is their address."""
    cuda = bindings()
    return Owned(int(check(cuda.cudaMalloc(size))), cuda.cudaFree)


class HostMemory:
    """`size` bytes of pinned host memory; with `mapped` the GPU sees it too, at an address of its own."""

    def __init__(self, size: int, *, mapped: bool) -> None:
        import numpy as np

        cuda = bindings()
        flags = cuda.cudaHostAllocMapped if mapped else cuda.cudaHostAllocDefault
        self._owned = Owned(int(check(cuda.cudaHostAlloc(size, flags))), cuda.cudaFreeHost)
        self.address: int = self._owned.value
        self.device_address = int(check(cuda.cudaHostGetDevicePointer(self.address, 0))) if mapped else None
        self.bytes: NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self.address))

    def close(self) -> None:
        """Free it; nothing may look at `bytes` any more."""
        self._owned.close()


def copy_to_device(to: int, host: int, size: int, stream: Owned) -> None:
    """Copy `size` bytes, when the stream comes to it."""
    cuda = bindings()
    check(cuda.cudaMemcpyAsync(to, host, size, cuda.cudaMemcpyKind.cudaMemcpyHostToDevice, stream.value))


def copy_to_host(host: int, source: int, size: int, stream: Owned) -> None:
    """Copy `size` bytes, when the stream comes to it."""
    cuda = bindings()
    check(cuda.cudaMemcpyAsync(host, source, size, cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost, stream.value))


def record(event: Owned, stream: Owned) -> None:
    """Let `event` be where the stream is now."""
    check(bindings().cudaEventRecord(event.value, stream.value))


def elapsed_ms(start: Owned, end: Owned) -> float:
    """Milliseconds between two events that the stream has passed."""
    return float(check(bindings().cudaEventElapsedTime(start.value, end.value)))


def synchronise(stream: Owned) -> None:
    """Wait until the stream has done all it was given; raises `CudaError` for what failed in it."""
    check(bindings().cudaStreamSynchronize(stream.value))


def capture(work: Callable[[], None], stream: Owned) -> Owned:
    """A graph of what `work` gives to the stream, ready to `launch`. Raises `CudaError` where it cannot be captured."""
    cuda = bindings()
    check(cuda.cudaStreamBeginCapture(stream.value, cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
    try:
        work()
    except BaseException:
        status, graph = cuda.cudaStreamEndCapture(stream.value)  # or the stream stays in capture for ever
        if not int(status):
            cuda.cudaGraphDestroy(graph)
        raise
    graph = check(cuda.cudaStreamEndCapture(stream.value))
    try:
        return Owned(check(cuda.cudaGraphInstantiate(graph, 0)), cuda.cudaGraphExecDestroy)
    finally:
        cuda.cudaGraphDestroy(graph)


def launch(graph: Owned, stream: Owned) -> None:
    """Give a captured graph to the stream."""
    check(bindings().cudaGraphLaunch(graph.value, stream.value))
