"""TensorRT: engines on NVIDIA GPUs, desktop and Jetson, and TensorRT-RTX's, by the same class."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import BundleError, RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes import cuda
from pvt_edge.runtimes.boundary import boundary, model_file
from pvt_edge.runtimes.passport import differences, here, sidecar
from pvt_edge.runtimes.runtime import TensorSpec
from pvt_edge.runtimes.session import Session, check_feeds, device_row, printable
from pvt_edge.runtimes.table import check_precision, check_threads, require
from pvt_edge.runtimes.tensorrt_buffers import Buffers
from pvt_edge.runtimes.tensorrt_library import TensorRtLibrary, load_library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.runtimes.session import Facts


@dataclass(frozen=True)
class GpuLatency:
    """Milliseconds on the GPU of every run, none removed: the network alone, and with the copies to and from it."""

    compute_ms: list[float]
    with_copies_ms: list[float]


class TensorRtRuntime(Session):
    """An engine in TensorRT. `device` is "cuda", "cuda:1" ... or "auto", the first GPU; `threads` are the CPU's.

    An engine of a bundle is opened only where its hash is the one in `model.json` and its passport fits this machine.
    `precision` is "auto" or the engine's own, by its passport. With `cuda_graph` everything between host and host is
    launched at once, from the second call on; where the GPU cannot capture it, the attribute becomes False.
    `passport` is for an engine that lies in no bundle yet.
    """

    library_name = "tensorrt"

    def __init__(
        self,
        path: str | Path,
        *,
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        cuda_graph: bool = True,
        passport: Mapping[str, str] | None = None,
    ) -> None:
        check_precision(self.library_name, precision)
        check_threads(threads)
        require(self.library_name)
        file = model_file(path)
        gpu = cuda.probe_cuda(device)  # before TensorRT is touched: it crashes without a driver
        library = load_library(self.library_name)
        content, passport = _checked(file, gpu, library, passport)
        stored = passport.get("precision", "fp16")
        if precision not in ("auto", stored):
            raise RuntimeInputError(f"{file} holds {stored}, asked for {precision}: ask for {stored} or auto")
        self.cuda_graph, self._busy, self._gpu = cuda_graph, threading.Lock(), gpu.index
        self._graph: cuda.Owned | None = None
        self._warm: tuple[int, ...] | None = None  # the input shape that has been run
        what = f"{library.name} {library.version} cannot load {file}"
        with boundary(what, "build it again with pvt-edge build --rebuild"):
            cuda.use_gpu(gpu.index)
            self._logger = library.logger()
            self._runtime: Any = library.module.Runtime(self._logger)
            if passport.get("version_compatible") == "yes":
                self._runtime.engine_host_code_allowed = True  # such an engine brings its own runtime
            self._engine: Any = self._runtime.deserialize_cuda_engine(content)
            if self._engine is None:
                raise BundleError(f"{what}: {self._reasons()}: build it again with pvt-edge build --rebuild")
            self._context: Any = self._engine.create_execution_context()
            if self._context is None:
                raise BundleError(f"{what}: {self._reasons()}: close other programs on the GPU")
            inputs, outputs = _specs(self._engine, library)
            self._profile = _profile(self._engine, inputs[0])
            self._stream = cuda.make_stream()
            self._buffers = Buffers(inputs, outputs, self._profile[1], mapped=gpu.integrated)
            for name, address in self._buffers.addresses.items():
                self._context.set_tensor_address(name, address)
        super().__init__(
            self.library_name,
            str(file),
            precision=stored,
            device=f"cuda:{gpu.index}",
            inputs=inputs,
            outputs=outputs,
        )

    @classmethod
    def check_machine(cls) -> None:
        """Raise `RuntimeMissingError` where there is no GPU."""
        cuda.probe_cuda()

    @classmethod
    def probe(cls, facts: "Facts") -> None:
        library = load_library(cls.library_name)
        facts["version"] = printable(library.version)
        gpu = cuda.probe_cuda()  # before TensorRT does anything: it crashes without a driver
        target = f"sm{gpu.compute_capability.replace('.', '')}"
        if cls.library_name == "tensorrt-rtx" and target not in library.targets():
            raise RuntimeMissingError(
                f"TensorRT-RTX {library.version} does not build for this {gpu.name} ({target}), only for "
                f"{', '.join(library.targets())}: take tensorrt"
            )
        logger = library.logger()
        library.module.Builder(logger)
        library.module.Runtime(logger)
        able = ["fp32", "fp16", *(["int8"] if float(gpu.compute_capability) >= 6.1 else [])]
        facts["devices"] = [device_row(f"cuda:{gpu.index}", gpu.name, able)]

    @property
    def batch_range(self) -> tuple[int, int]:
        """The fewest and the most pictures of a call, by the profile that the engine was built with."""
        return self._profile

    def infer(self, feeds: "Mapping[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        """As every runtime's; a second thread that comes in meanwhile is refused with `RuntimeInputError`."""
        if not self._busy.acquire(blocking=False):
            raise RuntimeInputError(
                f"the {self.name} runtime of {self.source} is running in another thread: open one a thread"
            )
        try:
            return super().infer(feeds)
        finally:
            self._busy.release()

    def gpu_latency(self, feeds: "Mapping[str, NDArray[np.generic]]", runs: int, warmup: int = 10) -> GpuLatency:
        """Milliseconds by the GPU's own clock of `runs` runs on `feeds`, after `warmup` that are not counted."""
        self._check_open()
        arrays = check_feeds(feeds, self.inputs)
        compute, whole = [], []
        cuda.use_gpu(self._gpu)
        events = [cuda.make_event() for _ in range(4)]
        try:
            with self._busy, boundary(f"{self.name} failed while running {self.source}", "build it again"):
                self._set_shape(arrays)
                self._buffers.fill(arrays)
                for run in range(warmup + runs):
                    cuda.record(events[0], self._stream)
                    self._buffers.send(self._stream)
                    cuda.record(events[1], self._stream)
                    self._execute()
                    cuda.record(events[2], self._stream)
                    self._buffers.fetch(self._stream)
                    cuda.record(events[3], self._stream)
                    cuda.synchronise(self._stream)
                    if run >= warmup:
                        compute.append(cuda.elapsed_ms(events[1], events[2]))
                        whole.append(cuda.elapsed_ms(events[0], events[3]))
        finally:
            for event in events:
                event.close()
        return GpuLatency(compute, whole)

    def _run(self, arrays: "dict[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        cuda.use_gpu(self._gpu)  # of every call, since any thread may make it
        shape = self._set_shape(arrays)
        self._buffers.fill(arrays)
        if self.cuda_graph and self._graph is None and self._warm == shape:
            self._capture()
        if self._graph is not None:
            cuda.launch(self._graph, self._stream)
        else:
            self._enqueue()
        cuda.synchronise(self._stream)
        self._warm = shape
        return self._buffers.results({spec.name: self._context.get_tensor_shape(spec.name) for spec in self.outputs})

    def _set_shape(self, arrays: "dict[str, NDArray[np.generic]]") -> tuple[int, ...]:
        """Tell TensorRT the input's shape; what was captured for another one is dropped."""
        name = self.inputs[0].name
        shape = arrays[name].shape
        lowest, highest = self._profile
        if not lowest <= shape[0] <= highest:
            raise RuntimeInputError(
                f"the engine takes batches of {lowest} to {highest}, got {shape[0]}: feed that many at a "
                "time, or build it for more with pvt-edge build --batch lowest,best,highest"
            )
        if shape != self._warm:
            self._drop_graph()
            self._warm = None
            if not self._context.set_input_shape(name, shape):
                raise RuntimeInputError(f"TensorRT does not take the input shape {shape}: {self._reasons()}")
            self._buffers.shape(arrays, self.outputs, self._context)
        return shape

    def _enqueue(self) -> None:
        self._buffers.send(self._stream)
        self._execute()
        self._buffers.fetch(self._stream)

    def _execute(self) -> None:
        if not self._context.execute_async_v3(self._stream.value):
            raise cuda.CudaError(self._reasons())

    def _capture(self) -> None:
        """One graph of copies and network, for the shape that has been run once; or never again."""
        try:
            self._graph = cuda.capture(self._enqueue, self._stream)
        except cuda.CudaError:
            self.cuda_graph = False

    def _reasons(self) -> str:
        return self._logger.errors() or "TensorRT gave no reason"

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _release(self) -> None:
        # a graph holds the context's kernels, the context the engine's weights
        self._drop_graph()
        self._context = self._engine = self._runtime = None
        self._buffers.close()
        self._stream.close()


class TensorRtRtxRuntime(TensorRtRuntime):
    """An engine in TensorRT-RTX, which finishes the kernels for the GPU when it first runs them."""

    library_name = "tensorrt-rtx"


def _checked(
    file: Path, gpu: cuda.CudaDevice, library: TensorRtLibrary, passport: Mapping[str, str] | None
) -> tuple[bytes, Mapping[str, str]]:
    """The engine's bytes, never deserialised before they are what `model.json` says, and its passport."""
    content = file.read_bytes()
    if passport is None:
        known = sidecar(file)
        if known is None:
            return content, {}
        sha256, passport = known
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise BundleError(
                f"{file} was edited or cut short: sha256 is {found}, model.json says {sha256}; build it again with "
                "pvt-edge build --rebuild"
            )
    wrong = differences(passport, here(gpu, library))
    if wrong:
        raise BundleError(
            f"{file} was built for another machine ({'; '.join(wrong)}): build it here with pvt-edge build --rebuild"
        )
    return content, passport


def _specs(engine: Any, library: TensorRtLibrary) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs by name."""
    import numpy as np

    trt = library.module
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
        spec = TensorSpec(name, dtype, tuple(engine.get_tensor_shape(name)))
        (inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs).append(spec)
    return tuple(inputs), tuple(outputs)


def _profile(engine: Any, spec: TensorSpec) -> tuple[int, int]:
    """The least and the most pictures a call may have."""
    if spec.shape[0] != -1:
        return spec.shape[0], spec.shape[0]
    lowest, _, highest = engine.get_tensor_profile_shape(spec.name, 0)
    return int(lowest[0]), int(highest[0])
