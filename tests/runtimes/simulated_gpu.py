"""A GPU in ordinary memory, for machines without one: CUDA's calls as far as runtimes make them, and an engine.

It proves the order of calls, not a kernel: what is copied where and when, what a captured graph replays, that all is
freed once. The contract runs on a real GPU where there is one (test_tensorrt.py).
"""

import ctypes
import threading
from enum import IntEnum
from types import SimpleNamespace

import numpy as np


class Status(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorInvalidResourceHandle = 400
    cudaErrorStreamCaptureUnsupported = 900


OK = Status.cudaSuccess
SHIFT = 1 << 40  # between an address on the host and where the GPU sees the same memory


class SimulatedCuda:
    """`cuda.bindings.runtime`: work is queued on a stream and done when it is synchronised, or kept by a capture."""

    cudaHostAllocDefault, cudaHostAllocMapped, cudaStreamNonBlocking = 0, 2, 1
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, *, integrated=False, room=1 << 30, captures=True, devices=1, driver=12060, status=OK):
        self.integrated, self.room, self.captures = integrated, room, captures
        self.devices, self.driver, self.status = devices, driver, status
        self.live, self.handles, self.queue, self.captured = {}, set(), [], None
        self.graphs, self.calls, self.clock, self.next = {}, [], 0.0, 1
        self.chosen, self.home = threading.local(), 0  # the GPU of each thread, and that of the stream

    def handle(self):
        self.next += 1
        self.handles.add(self.next)
        return self.next

    def drop(self, handle):
        self.handles.remove(handle)  # KeyError: freed twice
        return (OK,)

    def cudaGetDeviceCount(self):
        return self.status, self.devices

    def cudaDriverGetVersion(self):
        return OK, self.driver

    def cudaRuntimeGetVersion(self):
        return OK, 13000

    def cudaGetErrorString(self, error):
        return OK, b"words for " + error.name.encode()

    def cudaGetDeviceProperties(self, index):
        known = SimpleNamespace(
            name=b"Simulated\0\0", major=8, minor=7, integrated=self.integrated, totalGlobalMem=self.room
        )
        return OK, known

    def cudaSetDevice(self, index):
        self.chosen.index = index
        return (OK,)

    def cudaStreamCreateWithFlags(self, flags):
        self.home = getattr(self.chosen, "index", 0)
        return OK, self.handle()

    def cudaStreamDestroy(self, stream):
        return self.drop(stream)

    def cudaEventCreate(self):
        return OK, [self.handle(), None]

    def cudaEventDestroy(self, event):
        return self.drop(event[0])

    def cudaMalloc(self, size):
        if size > self.room:
            return Status.cudaErrorMemoryAllocation, None
        memory = ctypes.create_string_buffer(size)
        address = ctypes.addressof(memory)
        self.live[address] = memory
        return OK, address

    def cudaFree(self, address):
        del self.live[address]  # KeyError: freed twice
        return (OK,)

    def cudaHostAlloc(self, size, flags):
        return self.cudaMalloc(size)

    def cudaFreeHost(self, address):
        return self.cudaFree(address)

    def cudaHostGetDevicePointer(self, address, flags):
        return OK, address + SHIFT

    def enqueue(self, what, work):
        if getattr(self.chosen, "index", 0) != self.home:
            return (Status.cudaErrorInvalidResourceHandle,)
        if self.captured is not None:
            if not self.captures:
                return (Status.cudaErrorStreamCaptureUnsupported,)
            self.captured.append((what, work))
        else:
            self.queue.append((what, work))
        return (OK,)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        assert {1: to in self.live, 2: source in self.live}[kind]
        return self.enqueue("copy", lambda: ctypes.memmove(to, source, size))

    def cudaEventRecord(self, event, stream):
        def note():
            self.clock += 1.0
            event[1] = self.clock

        return self.enqueue("event", note)

    def cudaEventElapsedTime(self, start, end):
        return OK, end[1] - start[1]

    def cudaStreamSynchronize(self, stream):
        assert self.captured is None, "a stream in capture cannot be waited for"
        for what, work in self.queue:
            self.calls.append(what)
            work()
        self.queue.clear()
        return (OK,)

    def cudaStreamBeginCapture(self, stream, mode):
        self.captured = []
        return (OK,)

    def cudaStreamEndCapture(self, stream):
        graph, self.captured = self.handle(), None if self.captured is None else self.captured
        self.graphs[graph], self.captured = self.captured, None
        return OK, graph

    def cudaGraphInstantiate(self, graph, flags):
        ready = self.handle()
        self.graphs[ready] = self.graphs[graph]
        return OK, ready

    def cudaGraphDestroy(self, graph):
        return self.drop(graph)

    def cudaGraphExecDestroy(self, graph):
        return self.drop(graph)

    def cudaGraphLaunch(self, graph, stream):
        self.queue += [("graph", lambda: None), *self.graphs[graph]]
        return (OK,)


class SimulatedEngine:
    """images uint8 (B, 2, 3, 3) -> means float32 (B, 3), sums int64 (B,)."""

    def __init__(self, cuda, lowest=1, highest=1):
        self.cuda, self.profile = cuda, (lowest, highest)
        self.dynamic = lowest != highest
        self.refuses_context = False
        self.names = ["images", "means", "sums"]

    @property
    def num_io_tensors(self):
        return 3

    def get_tensor_name(self, index):
        return self.names[index]

    def get_tensor_mode(self, name):
        return "in" if name == "images" else "out"

    def get_tensor_dtype(self, name):
        return {"images": np.uint8, "means": np.float32, "sums": np.int64}[name]

    def get_tensor_shape(self, name):
        batch = -1 if self.dynamic else self.profile[0]
        return {"images": (batch, 2, 3, 3), "means": (batch, 3), "sums": (batch,)}[name]

    def get_tensor_profile_shape(self, name, profile):
        return [(batch, 2, 3, 3) for batch in (self.profile[0], self.profile[0], self.profile[1])]

    def create_execution_context(self):
        return None if self.refuses_context else SimulatedContext(self)


class SimulatedContext:
    def __init__(self, engine):
        self.engine, self.addresses, self.batch, self.fails = engine, {}, engine.profile[0], False

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def set_input_shape(self, name, shape):
        self.batch = shape[0]
        return self.engine.profile[0] <= shape[0] <= self.engine.profile[1]

    def get_tensor_shape(self, name):
        return tuple(self.batch if n == -1 else n for n in self.engine.get_tensor_shape(name))

    def _array(self, name):
        address = self.addresses[name]
        address = address if address in self.engine.cuda.live else address - SHIFT
        shape, dtype = self.get_tensor_shape(name), np.dtype(self.engine.get_tensor_dtype(name))
        size = int(np.prod(shape)) * dtype.itemsize
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)).view(dtype).reshape(shape)

    def execute_async_v3(self, stream):
        if self.fails:
            return False

        def work():
            images = self._array("images")
            self._array("means")[...] = images.mean((1, 2))
            self._array("sums")[...] = images.sum((1, 2, 3), dtype=np.int64)

        return self.engine.cuda.enqueue("run", work) == (OK,)


class SimulatedLibrary:
    """A TensorRtLibrary whose runtime gives `engine` for any bytes but those that start with "broken"."""

    name, version = "tensorrt", "10.3.0"

    def __init__(self, engine):
        self.deserialised = []
        log = SimpleNamespace(errors=lambda: "the logger's words")

        class Runtime:
            engine_host_code_allowed = False

            def __init__(inner, logger):
                pass

            def deserialize_cuda_engine(inner, content):
                self.deserialised.append((content, inner.engine_host_code_allowed))
                return None if content.startswith(b"broken") else engine

        self.logger = lambda: log
        self.module = SimpleNamespace(
            Runtime=Runtime, TensorIOMode=SimpleNamespace(INPUT="in"), nptype=lambda dtype: dtype
        )
