"""ONNX Runtime: ONNX files on the CPU or, with onnxruntime-gpu, on CUDA."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.boundary import boundary, is_utf8, model_file
from pvt_edge.runtimes.onnx_file import read_onnx
from pvt_edge.runtimes.runtime import ModelSpec, TensorSpec
from pvt_edge.runtimes.session import TINY_INPUT, TINY_ONNX, Session, check_tiny, device_row, printable
from pvt_edge.runtimes.table import check_precision, check_threads, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.runtimes.session import Facts

_NUMPY_NAMES = {"float": "float32", "double": "float64"}
_LOG_ERRORS = 3
_CUDA = "CUDAExecutionProvider"


class OnnxRuntime(Session):
    """An ONNX file in ONNX Runtime, with all graph optimisations.

    `device` is "cpu", "cuda", "cuda:1" ... or "auto" (CUDA where the installed build has it); `precision`
    is "auto" or what the file holds, "approx" for an fp32 file whose graph is an approximation. `precision` reports the
    file's: CPU kernels may widen fp16 to fp32. Without `spec`, what the file holds is read from it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        precision: str = "auto",
        device: str = "cpu",
        threads: int | None = None,
        spec: ModelSpec | None = None,
    ) -> None:
        check_precision("onnxruntime", precision)
        check_threads(threads)
        require("onnxruntime")
        import onnxruntime

        file = model_file(path)
        here = onnxruntime.get_available_providers()
        device, providers = _providers(device, here)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = _LOG_ERRORS
        if threads is not None:
            options.intra_op_num_threads = threads
        with boundary(f"ONNX Runtime {onnxruntime.__version__} cannot load {file}", "export the model again"):
            stored = (spec or read_onnx(file)).precision
            if precision == "approx" and stored == "fp32":
                stored = precision
            if precision not in ("auto", stored):
                raise RuntimeInputError(f"{file} holds {stored}, asked for {precision}: ask for {stored} or auto")
            source = str(file) if is_utf8(file) else file.read_bytes()  # it takes no other path
            self._session: Any = onnxruntime.InferenceSession(source, options, providers=providers)
            inputs = tuple(map(_spec, self._session.get_inputs()))
            outputs = tuple(map(_spec, self._session.get_outputs()))
        # When CUDA does not start, ONNX Runtime goes on without it and only logs a line.
        if device != "cpu" and self._session.get_providers()[0] != _CUDA:
            raise RuntimeMissingError(
                f"ONNX Runtime could not start {device}: check driver, CUDA and cuDNN, or use device 'cpu'"
            )
        super().__init__("onnxruntime", str(file), precision=stored, device=device, inputs=inputs, outputs=outputs)

    @classmethod
    def probe(cls, facts: "Facts") -> None:
        import numpy as np
        import onnxruntime

        facts["version"] = printable(onnxruntime.__version__)
        facts["providers"] = onnxruntime.get_available_providers()
        facts["devices"] = [device_row("cpu", "", ["fp32", "int8"])]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _LOG_ERRORS
        session = onnxruntime.InferenceSession(TINY_ONNX, options, providers=["CPUExecutionProvider"])
        check_tiny(session.run(None, {"x": np.array(TINY_INPUT, np.float32)})[0].tolist())
        if _CUDA in facts["providers"]:
            session = onnxruntime.InferenceSession(TINY_ONNX, options, providers=[_CUDA, "CPUExecutionProvider"])
            if session.get_providers()[0] == _CUDA:  # else it went on without, and only logged it
                facts["devices"].append(device_row("cuda", "", ["fp32", "fp16", "int8"]))

    def _run(self, arrays: "dict[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        names = [spec.name for spec in self.outputs]
        return dict(zip(names, self._session.run(names, arrays), strict=True))

    def _release(self) -> None:
        self._session = None


def _providers(device: str, here: list[str]) -> tuple[str, list[Any]]:
    """The device's full name and the providers to ask for, CUDA's first; the CPU takes what CUDA lacks."""
    if device == "auto":
        device = "cuda" if _CUDA in here else "cpu"
    kind, _, index = device.partition(":")
    if device != "cpu" and (kind != "cuda" or (index and not index.isdecimal())):
        raise RuntimeMissingError(f"onnxruntime has no device {device!r}: use 'cpu', 'cuda' or 'cuda:1'")
    if device == "cpu":
        return device, ["CPUExecutionProvider"]
    if _CUDA not in here:
        raise RuntimeMissingError(
            f"this ONNX Runtime has no {_CUDA}, it has {', '.join(here)}: pip install onnxruntime-gpu in its "
            "place, or use device 'cpu'"
        )
    number = int(index or 0)
    return f"cuda:{number}", [(_CUDA, {"device_id": number}), "CPUExecutionProvider"]


def _spec(node: Any) -> TensorSpec:
    """A node of ONNX Runtime, whose type reads "tensor(float)" and whose free sizes are names or None."""
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return TensorSpec(node.name, _NUMPY_NAMES.get(kind, kind), shape)
