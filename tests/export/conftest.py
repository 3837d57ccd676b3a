"""The models that several tests export, and their files, made once a session."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="exporting needs PyTorch")


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """On a busy machine, threads that wait for each other take most of the time of small tensors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def lite():
    """A b0 detector of 3 classes with the lite head: copy it, do not change it."""
    from .made import build

    return build("detect", "b0")


@pytest.fixture(scope="session")
def lite_graph(lite):
    from pvt_edge.export.graph import DeployGraph

    return DeployGraph(lite, (64, 96))


@pytest.fixture(scope="session")
def lite_onnx(lite_graph, tmp_path_factory) -> Path:
    from pvt_edge.export.onnx import export_onnx

    path = tmp_path_factory.mktemp("lite") / "model.onnx"
    export_onnx(lite_graph, path)
    return path


@pytest.fixture(scope="session")
def lite_openvino(lite, tmp_path_factory) -> Path:
    """The ONNX file that OpenVINO's model is made of."""
    from pvt_edge.export.graph import DeployGraph
    from pvt_edge.export.onnx import export_onnx

    path = tmp_path_factory.mktemp("lite-openvino") / "model.onnx"
    export_onnx(DeployGraph(lite, (64, 96), target="openvino"), path)
    return path


@pytest.fixture(scope="session")
def classifier():
    """A b0 classifier of 10 classes: copy it, do not change it."""
    from .made import build

    return build("classify", "b0", classes=10)


@pytest.fixture(scope="session")
def scenes():
    """Three drawn scenes as inputs (1, 64, 96, 3)."""
    from .made import pictures

    return pictures(3, 64, 96)
