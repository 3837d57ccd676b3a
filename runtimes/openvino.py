"""OpenVINO: IR (or ONNX) files on Intel and other CPUs, and on the GPUs and NPUs that OpenVINO sees."""

from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.boundary import boundary, model_file
from pvt_edge.runtimes.runtime import TensorSpec
from pvt_edge.runtimes.session import TINY_INPUT, TINY_ONNX, Session, check_tiny, device_row, printable
from pvt_edge.runtimes.table import check_precision, check_threads, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from openvino import Core

    from pvt_edge.runtimes.session import Facts

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_NAMES = {hint: precision for precision, hint in _HINTS.items()}


@lru_cache(maxsize=1)
def openvino_core() -> "Core":
    """The core, which stays until the process ends.

    Each core's CPU plugin lends the thread a stack for signal handlers and puts back the one before when it goes
    (OpenVINO 2026.4). Of two that go in the order in which they came, the second puts back the first's, which is no
    more, and the next Ctrl-C takes the process down.
    """
    import openvino

    return openvino.Core()


class OpenVinoRuntime(Session):
    """A model in OpenVINO, tuned for latency, or with `hint` "throughput" for many callers at once.

    `precision`, which the plugin would else choose in silence:
      "fp32" runs float32; "bf16" and "fp16" run that, where the device has it;
      "auto" takes bf16 where the device has it, else fp32;
      a model with FakeQuantize operations is int8 whatever is said: it takes "auto" or "int8", and what is
      float in it runs as "auto" would. `float_precision` reports that part;
      "approx" says that the graph is an approximation, which runs as "auto" would.
    `device` is "cpu", "gpu", "npu" ... or "auto", the CPU. `cache_dir` keeps compiled models between runs. With
    "throughput" the plugin chooses how many `streams` run side by side, unless told; `callers` keep them busy, each
    in a thread of its own with a runtime from `again()`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        precision: str = "auto",
        device: str = "cpu",
        threads: int | None = None,
        cache_dir: str | Path | None = None,
        hint: Literal["latency", "throughput"] = "latency",
        streams: int | None = None,
    ) -> None:
        check_precision("openvino", precision)
        check_threads(threads)
        require("openvino")
        import openvino

        file = model_file(path)
        version = openvino.__version__.partition("-")[0]
        core = openvino_core()
        plugin = _plugin(device, core.available_devices)
        has = core.get_property(plugin, "OPTIMIZATION_CAPABILITIES")
        with boundary(f"OpenVINO {version} cannot load {file}", "export the model again"):
            model = core.read_model(file)
            quantised = any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())
            self._float_precision = _float_precision(precision, quantised, has, str(file), plugin)
            options: dict[str, Any] = {
                "PERFORMANCE_HINT": hint.upper(),
                "INFERENCE_PRECISION_HINT": _HINTS[self._float_precision],
            }
            if threads is not None:
                options["INFERENCE_NUM_THREADS"] = threads
                options["ENABLE_CPU_PINNING"] = False  # it binds the threads of every process to the same cores
            if streams is not None:
                options["NUM_STREAMS"] = streams
            if cache_dir is not None:
                options["CACHE_DIR"] = str(cache_dir)
            self._compiled: Any = core.compile_model(model, plugin, options)
            taken = _NAMES.get(self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
            if taken != self._float_precision:
                raise RuntimeMissingError(
                    f"{plugin} would run {taken} in place of {self._float_precision}: ask for {taken}"
                )
            self._request: Any = self._compiled.create_infer_request()
            self.callers = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            inputs = tuple(map(_spec, self._compiled.inputs))
            outputs = tuple(map(_spec, self._compiled.outputs))
        super().__init__(
            "openvino",
            str(file),
            precision="int8" if quantised else "approx" if precision == "approx" else self._float_precision,
            device=plugin.lower(),
            inputs=inputs,
            outputs=outputs,
        )

    @classmethod
    def probe(cls, facts: "Facts") -> None:
        import numpy as np
        import openvino

        facts["version"] = printable(openvino.__version__).partition("-")[0]
        core = openvino_core()
        facts["devices"] = []
        for name in core.available_devices:
            able = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
            floats = [kind for kind in ("fp32", "bf16", "fp16", "int8") if kind.upper() in able]
            facts["devices"].append(device_row(name.lower(), core.get_property(name, "FULL_DEVICE_NAME"), floats))
        compiled = core.compile_model(core.read_model(TINY_ONNX), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        check_tiny(compiled(np.array(TINY_INPUT, np.float32))[0].tolist())

    @classmethod
    def float_precisions(cls, device: str) -> tuple[str, ...]:
        """Those of bf16 and fp16 that the device runs."""
        try:
            has = openvino_core().get_property(_plugin_name(device), "OPTIMIZATION_CAPABILITIES")
        except RuntimeError:  # no such device: whoever opens a file there is told
            return ()
        return tuple(precision for precision in ("bf16", "fp16") if precision.upper() in has)

    @property
    def float_precision(self) -> str:
        """What the float part of the model runs in."""
        return self._float_precision

    def again(self) -> "OpenVinoRuntime":
        """The same compiled model for another thread; close it on its own."""
        self._check_open()
        twin = copy(self)
        twin._request = self._compiled.create_infer_request()
        return twin

    def layers(self) -> list[tuple[str, str, str]]:
        """(name, kind, type it runs in) of every layer as compiled: ("conv0", "Convolution", "bf16")."""
        self._check_open()
        ops = self._compiled.get_runtime_model().get_ops()
        entries = [(op.get_friendly_name(), op.get_rt_info()) for op in ops]
        return [(name, info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for name, info in entries]

    def _run(self, arrays: "dict[str, NDArray[np.generic]]") -> "dict[str, NDArray[np.generic]]":
        results = self._request.infer(arrays, share_inputs=True, share_outputs=False)
        return {spec.name: results[i] for i, spec in enumerate(self.outputs)}

    def _release(self) -> None:
        self._request = self._compiled = None


def _plugin_name(device: str) -> str:
    """OpenVINO's name of a device."""
    return "CPU" if device == "auto" else device.upper()


def _plugin(device: str, here: list[str]) -> str:
    """OpenVINO's name of a device. Raises `RuntimeMissingError` listing those that are here."""
    plugin = _plugin_name(device)
    if plugin not in here:
        listed = ", ".join(name.lower() for name in here) or "none"
        raise RuntimeMissingError(f"OpenVINO sees no device {device!r} here: it sees {listed}")
    return plugin


def _float_precision(precision: str, quantised: bool, has: list[str], file: str, plugin: str) -> str:
    """What the float part of the model is to run in."""
    if precision == "int8" and not quantised:
        raise RuntimeInputError(f"{file} is not quantised, asked for int8: take auto, or export --int8")
    if quantised and precision not in ("auto", "int8"):
        raise RuntimeInputError(f"{file} is an int8 model, asked for {precision}: ask for int8 or auto")
    if precision in ("auto", "approx", "int8"):
        return "bf16" if "BF16" in has else "fp32"
    if precision.upper() not in has:
        able = ", ".join(name for name in _HINTS if name.upper() in has)
        raise RuntimeMissingError(f"this {plugin} cannot run {precision}: it has {able}; ask for one or auto")
    return precision


def _spec(port: Any) -> TensorSpec:
    shape = tuple(size.get_length() if size.is_static else -1 for size in port.get_partial_shape())
    return TensorSpec(port.get_any_name(), port.get_element_type().to_dtype().name, shape)
