"""The memory that an engine reads and writes: pinned on the host, and on the GPU, taken once and used for all calls."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from pvt_edge.runtimes import cuda
from pvt_edge.runtimes.runtime import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Buffers:
    """Memory for `batch` pictures. With `mapped` (an integrated GPU) the GPU works in the host's: nothing is copied."""

    def __init__(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], batch: int, *, mapped: bool
    ) -> None:
        self._host: dict[str, cuda.HostMemory] = {}
        self._device: dict[str, cuda.Owned] = {}
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._sizes: dict[str, int] = {}  # bytes in use, for the shapes of the current call
        self.addresses: dict[str, int] = {}
        try:
            for spec in (*inputs, *outputs):
                size = size_bytes(spec.dtype, (batch if n == -1 else n for n in spec.shape))
                self._host[spec.name] = memory = cuda.HostMemory(size, mapped=mapped)
                if memory.device_address is None:
                    self._device[spec.name] = cuda.device_memory(size)
                self.addresses[spec.name] = memory.device_address or self._device[spec.name].value
        except BaseException:
            self.close()
            raise

    def shape(self, arrays: "Mapping[str, NDArray[np.generic]]", outputs: Sequence[TensorSpec], context: Any) -> None:
        """Take the sizes of a call's inputs, and of the outputs that `context` infers from them."""
        self._sizes = {name: array.nbytes for name, array in arrays.items()}
        for spec in outputs:
            self._sizes[spec.name] = size_bytes(spec.dtype, context.get_tensor_shape(spec.name))

    def fill(self, arrays: "Mapping[str, NDArray[np.generic]]") -> None:
        """Copy a call's inputs into the pinned memory."""
        import numpy as np

        for name, array in arrays.items():
            self._host[name].bytes[: array.nbytes] = array.reshape(-1).view(np.uint8)

    def send(self, stream: cuda.Owned) -> None:
        """Copy the inputs to the GPU."""
        for spec in self._inputs:
            if spec.name in self._device:
                host = self._host[spec.name].address
                cuda.copy_to_device(self.addresses[spec.name], host, self._sizes[spec.name], stream)

    def fetch(self, stream: cuda.Owned) -> None:
        """Copy the outputs to the host."""
        for spec in self._outputs:
            if spec.name in self._device:
                host = self._host[spec.name].address
                cuda.copy_to_host(host, self.addresses[spec.name], self._sizes[spec.name], stream)

    def results(self, shapes: Mapping[str, Sequence[int]]) -> "dict[str, NDArray[np.generic]]":
        """The outputs as arrays of the caller's own."""
        found = {}
        for spec in self._outputs:
            used = self._host[spec.name].bytes[: self._sizes[spec.name]]
            found[spec.name] = used.view(spec.dtype).reshape(tuple(shapes[spec.name])).copy()
        return found

    def close(self) -> None:
        """Free all of it."""
        for host in self._host.values():
            host.close()
        for device in self._device.values():
            device.close()
        self._host.clear()
        self._device.clear()


def size_bytes(dtype: str, shape: Any) -> int:
    """Bytes of an array, at least one: nothing cannot be allocated."""
    import numpy as np

    return max(prod(int(n) for n in shape) * np.dtype(dtype).itemsize, 1)
