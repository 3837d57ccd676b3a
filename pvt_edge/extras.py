"""Which extra brings a package, so that a missing one is an error with its mend."""

from pvt_edge.errors import RuntimeMissingError

EXTRA_OF = {
    "aiohttp": "serve",
    "av": "stream",
    "cuda": "tensorrt",
    "cv2": "opencv",
    "filelock": "export",
    "matplotlib": "plots",
    "nncf": "bench",
    "onnx": "export",
    "onnxruntime": "onnxruntime",
    "onnxscript": "export",
    "onnxsim": "export",
    "openvino": "openvino",
    "paho": "mqtt",
    "pycocotools": "val",
    "prometheus_client": "serve",
    "requests": "export",
    "safetensors": "export",
    "supervision": "supervision",
    "tensorrt": "tensorrt",
    "torch": "export",
    "trackers": "track",
    "transformers": "compare",
    "yaml": "val",
}


def missing_package(error: ModuleNotFoundError) -> Exception:
    """The `RuntimeMissingError` that says how to install what `error` misses; `error` itself for other modules."""
    package = (error.name or "").split(".")[0]
    if package not in EXTRA_OF:
        return error
    return RuntimeMissingError(
        f'this needs {package}, which is not installed: pip install "pvt-edge[{EXTRA_OF[package]}]"'
    )
