"""The tiny detector, its answers, and its files for every runtime, made once a session."""

import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the runtimes' tests export a PyTorch model")


@pytest.fixture(scope="session")
def module():
    from .model import TinyDetector

    return TinyDetector().eval()


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def answers(module, images):
    """The module's outputs, straight from PyTorch."""
    import torch

    with torch.inference_mode():
        return {name: tensor.numpy() for name, tensor in module(torch.tensor(images)).items()}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def onnx_file(module, images, folder) -> Path:
    return _export_onnx(module, images, folder / "model.onnx", None)


@pytest.fixture(scope="session")
def free_batch_onnx_file(module, images, folder) -> Path:
    return _export_onnx(module, np.repeat(images, 2, 0), folder / "free.onnx", "batch")


@pytest.fixture(scope="session")
def openvino_file(onnx_file, folder) -> Path:
    return _convert(onnx_file, folder / "model.xml")


def _export_onnx(module, images, path: Path, batch: str | None) -> Path:
    import torch

    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        torch.onnx.export(
            module,
            (torch.tensor(images),),
            path,
            dynamo=True,
            external_data=False,
            input_names=["images"],
            output_names=["boxes", "scores", "labels"],
            dynamic_shapes={"images": {0: batch}} if batch else None,
            verbose=False,
        )
    return path


def _convert(onnx_file: Path, path: Path) -> Path:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    openvino.save_model(openvino.convert_model(onnx_file), path, compress_to_fp16=False)
    return path
