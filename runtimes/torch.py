"""PyTorch: the reference that the other runtimes are compared to."""

from typing import TYPE_CHECKING, Any

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.runtime import TensorSpec
from pvt_edge.runtimes.session import TINY_INPUT, Session, check_tiny, device_row, printable
from pvt_edge.runtimes.table import check_precision, check_threads, require

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from pvt_edge.runtimes.session import Facts

_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "float64": "fp64"}


class TorchRuntime(Session):
    """A module run as it is.

    The module takes its tensors in the order of `inputs`, of which only the first axis may be free (-1), and returns
    a dict of tensors by name; it is run once (twice with a free axis) to learn its outputs. It stays where it is, so
    `device` must be its own or "auto". bfloat16 outputs, which NumPy lacks, come as float32. `threads` holds during
    `infer` only.
    """

    def __init__(
        self,
        source: "torch.nn.Module",
        inputs: tuple[TensorSpec, ...] | None = None,
        *,
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        check_precision("torch", precision)
        check_threads(threads)
        require("torch")
        import torch

        _check_device(device)
        if not isinstance(source, torch.nn.Module):
            raise RuntimeInputError(f"the torch runtime runs a module, got {source!r}: load it with torch first")
        where = type(source).__name__
        if source.training:
            raise RuntimeInputError(f"{where} is in training mode: call .eval() on it first")
        inputs = _checked_inputs(inputs, where)
        self._call: Any = source
        self._threads = threads
        weights = [*source.parameters(), *source.buffers()]
        self._device = weights[0].device if weights else torch.device("cpu" if device == "auto" else device)
        if device != "auto" and not _is_on(self._device, torch.device(device)):
            raise RuntimeInputError(f"{where} is on {self._device}, asked for {device}: call .to({device!r})")
        stored = next((tensor.dtype for tensor in weights if tensor.is_floating_point()), torch.float32)
        stored_name = _PRECISIONS.get(str(stored).removeprefix("torch."), str(stored))
        if precision not in ("auto", stored_name):
            raise RuntimeInputError(f"{where} holds {stored_name}, asked for {precision}: ask for {stored_name}")
        super().__init__("torch", where, precision=stored_name, device=str(self._device), inputs=inputs, outputs=())
        self.outputs = self._learn_outputs()

    @classmethod
    def probe(cls, facts: "Facts") -> None:
        import torch

        facts["version"] = printable(torch.__version__)
        facts["devices"] = [device_row("cpu", "", ["fp32", "bf16"])]
        check_tiny((torch.tensor(TINY_INPUT) @ torch.tensor(TINY_INPUT)).tolist())
        if torch.cuda.is_available():
            for index in range(torch.cuda.device_count()):
                floats = ["fp32", "fp16", *(["bf16"] if torch.cuda.get_device_capability(index) >= (8, 0) else [])]
                facts["devices"].append(device_row(f"cuda:{index}", torch.cuda.get_device_name(index), floats))

    def _learn_outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs' specs, from runs on zeros; an axis that follows the free input axis is free."""
        import numpy as np

        def run(batch: int) -> "dict[str, NDArray[np.generic]]":
            shapes = {spec: [batch if size == -1 else size for size in spec.shape] for spec in self.inputs}
            return self.infer({spec.name: np.zeros(shape, spec.dtype) for spec, shape in shapes.items()})

        first = run(1)
        other = run(2) if any(-1 in spec.shape for spec in self.inputs) else first
        return tuple(
            TensorSpec(name, array.dtype.name, _common(array.shape, other[name].shape)) for name, array in first.items()
        )

    def _run(self, arrays: "dict[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        import torch

        before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                tensors = [torch.tensor(array, device=self._device) for array in arrays.values()]
                answer = self._call(*tensors)
                if not isinstance(answer, dict):
                    given = type(answer).__name__
                    raise RuntimeInputError(f"{self.source} must return a dict of tensors by name, not {given}")
                return {name: _owned(tensor) for name, tensor in answer.items()}
        finally:
            torch.set_num_threads(before)

    def _release(self) -> None:
        self._call = None


def _owned(tensor: "torch.Tensor") -> "NDArray[np.generic]":
    """A copy as an array: a module may return a buffer of its own, which a later call could change."""
    import torch

    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: NDArray[np.generic] = tensor.detach().cpu().contiguous().numpy().copy()
    return array


def _common(shape: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes both shapes have, -1 where they differ."""
    return tuple(a if a == b else -1 for a, b in zip(shape, other, strict=True))


def _is_on(own: "torch.device", asked: "torch.device") -> bool:
    """Whether that is the device that was asked for; "cuda" is any of the GPUs."""
    return own.type == asked.type and asked.index in (None, own.index or 0)


def _check_device(device: str) -> None:
    import torch

    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or not (index or "0").isdecimal():
        raise RuntimeMissingError(f"torch has no device {device!r} here: use 'cpu', 'cuda' or 'cuda:1'")
    if kind == "cuda" and not torch.cuda.is_available():
        raise RuntimeMissingError(f"torch {torch.__version__} sees no CUDA device here: use device 'cpu'")


def _checked_inputs(inputs: tuple[TensorSpec, ...] | None, where: str) -> tuple[TensorSpec, ...]:
    if not inputs:
        raise RuntimeInputError(
            f"{where} does not say what its inputs are: pass "
            "inputs=(TensorSpec('images', 'uint8', (1, height, width, 3)),)"
        )
    if any(-1 in spec.shape[1:] for spec in inputs):
        raise RuntimeInputError(f"only the first axis of an input may be free (-1); got {inputs}")
    return inputs
