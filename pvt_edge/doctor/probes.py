"""What is asked of each library, in a process of its own. A probe fills in what it finds, and may raise or die."""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from pvt_edge.doctor.child import MARK, printable
from pvt_edge.errors import PvtEdgeError, RuntimeMissingError

Facts = dict[str, Any]

# An ONNX model, y = x @ x of (2, 2) float32, opset 17: what runs it once can run.
TINY_ONNX = (
    b'\x08\x08:@\n\x11\n\x01x\n\x01x\x12\x01y"\x06MatMul\x12\x01gZ\x13\n\x01x\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08'
    b"\x02\n\x02\x08\x02b\x13\n\x01y\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x02\n\x02\x08\x02B\x04\n\x00\x10\x11"
)
TINY_INPUT, TINY_OUTPUT = [[1.0, 2.0], [3.0, 4.0]], [[7.0, 10.0], [15.0, 22.0]]


def answer(name: str, limit_s: int) -> NoReturn:
    """Print the probe's facts, and its failure, behind the mark that the parent looks for, and end this process."""
    if hasattr(signal, "alarm"):
        signal.alarm(limit_s)  # a probe that hangs outlives a parent that was killed
    facts: Facts = {}
    failure, with_mend = None, False
    try:
        PROBES[name](facts)
    except PvtEdgeError as error:
        failure, with_mend = printable(error), True
    except BaseException as error:  # SystemExit too: a library that ends the process is broken
        failure = printable(f"{type(error).__name__}: {error}")[:400].removesuffix(":")
    told = json.dumps({"facts": facts, "failure": failure, "with_mend": with_mend})
    sys.stdout.write(f"\n{MARK}{told}\n")
    sys.stdout.flush()
    os._exit(0)  # threads that a library left running would keep the process


def device(name: str, description: object, precisions: list[str]) -> dict[str, Any]:
    """A device as `Verdict.devices` has it."""
    return {"name": name, "description": printable(description), "precisions": precisions}


def _torch(facts: Facts) -> None:
    import torch

    facts["version"] = printable(torch.__version__)
    facts["devices"] = [device("cpu", "", ["fp32", "bf16"])]
    _check((torch.tensor(TINY_INPUT) @ torch.tensor(TINY_INPUT)).tolist())
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            floats = ["fp32", "fp16", *(["bf16"] if torch.cuda.get_device_capability(index) >= (8, 0) else [])]
            facts["devices"].append(device(f"cuda:{index}", torch.cuda.get_device_name(index), floats))


def _onnxruntime(facts: Facts) -> None:
    import numpy as np
    import onnxruntime

    facts["version"] = printable(onnxruntime.__version__)
    facts["providers"] = onnxruntime.get_available_providers()
    facts["devices"] = [device("cpu", "", ["fp32", "int8"])]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(TINY_ONNX, options, providers=["CPUExecutionProvider"])
    _check(session.run(None, {"x": np.array(TINY_INPUT, np.float32)})[0].tolist())
    if "CUDAExecutionProvider" in facts["providers"]:
        session = onnxruntime.InferenceSession(
            TINY_ONNX, options, providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
        )
        if session.get_providers()[0] == "CUDAExecutionProvider":  # else it went on without, and only logged it
            facts["devices"].append(device("cuda", "", ["fp32", "fp16", "int8"]))


def _openvino(facts: Facts) -> None:
    import numpy as np
    import openvino

    facts["version"] = printable(openvino.__version__).partition("-")[0]
    core = openvino.Core()
    facts["devices"] = []
    for name in core.available_devices:
        able = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
        floats = [kind for kind in ("fp32", "bf16", "fp16", "int8") if kind.upper() in able]
        facts["devices"].append(device(name.lower(), core.get_property(name, "FULL_DEVICE_NAME"), floats))
    compiled = core.compile_model(core.read_model(TINY_ONNX), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    _check(compiled(np.array(TINY_INPUT, np.float32))[0].tolist())


def _opencv(facts: Facts) -> None:
    import cv2
    import numpy as np

    facts["version"] = printable(cv2.__version__)
    from pvt_edge.runtimes.opencv import probe_opencv

    probe_opencv()
    net = cv2.dnn.readNetFromONNX(np.frombuffer(TINY_ONNX, np.uint8), engine=cv2.dnn.ENGINE_NEW)
    net.setInput(np.array(TINY_INPUT, np.float32), "x")
    _check(net.forward(["y"])[0].tolist())
    facts["devices"] = [device("cpu", "", ["fp32"])]


def _tensorrt(name: str) -> Callable[[Facts], None]:
    def probe(facts: Facts) -> None:
        from pvt_edge.runtimes.cuda import probe_cuda
        from pvt_edge.runtimes.tensorrt_library import load_library

        library = load_library(name)
        facts["version"] = printable(library.version)
        gpu = probe_cuda()  # before TensorRT does anything: it crashes without a driver
        target = f"sm{gpu.compute_capability.replace('.', '')}"
        if name == "tensorrt-rtx" and target not in library.targets():
            raise RuntimeMissingError(
                f"TensorRT-RTX {library.version} does not build for this {gpu.name} ({target}), only for "
                f"{', '.join(library.targets())}: take tensorrt"
            )
        logger = library.logger()
        library.module.Builder(logger)
        library.module.Runtime(logger)
        able = ["fp32", "fp16", *(["int8"] if float(gpu.compute_capability) >= 6.1 else [])]
        facts["devices"] = [device(f"cuda:{gpu.index}", gpu.name, able)]

    return probe


def _cuda(facts: Facts) -> None:
    from dataclasses import asdict

    from pvt_edge.runtimes.cuda import bindings, check, probe_cuda

    facts["gpus"] = []
    first = probe_cuda()
    count = int(check(bindings().cudaGetDeviceCount()))
    for index in range(count):
        facts["gpus"].append(asdict(first if index == first.index else probe_cuda(f"cuda:{index}")))


def _video(facts: Facts) -> None:
    import cv2

    facts["version"], facts["file"] = printable(cv2.__version__), printable(getattr(cv2, "__file__", ""))
    facts["build"] = str(cv2.getBuildInformation())


def _check(output: object) -> None:
    if output != TINY_OUTPUT:
        raise RuntimeMissingError(f"it computes {output} where {TINY_OUTPUT} is right: install it again")


PROBES: dict[str, Callable[[Facts], None]] = {
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "opencv": _opencv,
    "tensorrt": _tensorrt("tensorrt"),
    "tensorrt-rtx": _tensorrt("tensorrt-rtx"),
    "cuda": _cuda,
    "video": _video,
}
