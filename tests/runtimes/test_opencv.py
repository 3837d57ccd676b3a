"""OpenCV DNN: the contract, versions and precisions it refuses, paths, threads, agreement with ONNX Runtime."""

import shutil
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pvt_edge.errors import BundleError, RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes.opencv import MIN_VERSION, OpenCvRuntime, _silence, _thread_count, probe_opencv

from .contract import FileContract
from .test_onnxruntime import graph

if not hasattr(cv2.dnn, "ENGINE_NEW"):
    pytest.skip(f"this OpenCV is {cv2.__version__}", allow_module_level=True)


class TestOpenCvRuntime(FileContract):
    name = "opencv"

    @pytest.fixture
    def file(self, onnx_file):
        return onnx_file


def test_free_batch(free_batch_onnx_file, images, answers):
    with OpenCvRuntime(free_batch_onnx_file) as runtime:
        assert runtime.inputs[0].shape == (-1, 48, 64, 3)
        assert [spec.shape for spec in runtime.outputs] == [(-1, 10, 4), (-1, 10), (-1, 10)]
        for size in (3, 1, 4):
            arrays = runtime.infer({"images": np.repeat(images, size, 0)})
            for name, array in arrays.items():
                np.testing.assert_allclose(array, np.repeat(answers[name], size, 0), rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32"])
def test_dtypes_that_graphs_end_in(tmp_path, dtype):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, kinds = onnx.helper, onnx.TensorProto
    kind = {"float32": kinds.FLOAT, "int64": kinds.INT64, "int32": kinds.INT32}[dtype]
    ports = [helper.make_tensor_value_info("x", kinds.UINT8, [2, 3]), helper.make_tensor_value_info("y", kind, [2, 3])]
    made = helper.make_graph([helper.make_node("Cast", ["x"], ["y"], to=kind)], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "m.onnx")
    x = np.array([[0, 1, 2], [127, 128, 255]], np.uint8)
    with OpenCvRuntime(tmp_path / "m.onnx") as runtime:
        y = runtime.infer({"x": x})["y"]
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize(("dtype", "quantised", "held"), [("float16", False, "fp16"), ("float32", True, "int8")])
def test_other_precisions_are_refused(tmp_path, dtype, quantised, held):
    file = graph(tmp_path / "m.onnx", dtype, quantised)
    with pytest.raises(RuntimeInputError, match=f"holds {held}, the opencv runtime takes fp32: give the fp32 file"):
        OpenCvRuntime(file)
    with pytest.raises(RuntimeInputError, match=f"the opencv runtime takes precision auto, fp32; got {held}"):
        OpenCvRuntime(file, precision=held)


@pytest.mark.parametrize("device", ["cuda", "cpu:1", "gpu"])
def test_no_such_device(onnx_file, device):
    with pytest.raises(RuntimeMissingError, match=f"opencv has no device '{device}': .* use 'cpu'"):
        OpenCvRuntime(onnx_file, device=device)


def test_auto_device_is_the_cpu(onnx_file):
    with OpenCvRuntime(onnx_file, device="auto") as runtime:
        assert runtime.device == "cpu"


@pytest.mark.parametrize("version", ["4.8.0", "4.14.0"])
def test_opencv_4_is_refused(monkeypatch, onnx_file, version):
    monkeypatch.setattr(cv2, "__version__", version)
    monkeypatch.delattr(cv2.dnn, "ENGINE_NEW")
    told = f"needs the DNN engine of OpenCV {MIN_VERSION}, this is {version}: pip install .*or take another runtime"
    for call in (probe_opencv, lambda: OpenCvRuntime(onnx_file)):
        with pytest.raises(RuntimeMissingError, match=told):
            call()


def test_an_opencv_without_dnn_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(__version__="5.0.0"))
    monkeypatch.setattr("pvt_edge.runtimes.opencv.require", lambda name: None)
    with pytest.raises(RuntimeMissingError, match="needs the DNN engine"):
        probe_opencv()


def test_an_operator_that_opencv_lacks(tmp_path, capfd):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load(graph(tmp_path / "m.onnx", "float32"))
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(BundleError, match=r"^OpenCV 5\S+ lacks an operator of .*m.onnx: take another runtime$"):
        OpenCvRuntime(tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")


def test_threads_are_opencvs_again_after_a_call(onnx_file, images, monkeypatch):
    before = cv2.getNumThreads()
    asked = []
    monkeypatch.setattr(cv2, "setNumThreads", asked.append)
    with OpenCvRuntime(onnx_file, threads=1) as runtime:
        assert asked == []
        runtime.infer({"images": images})
    assert asked == [1, before]
    with OpenCvRuntime(onnx_file) as runtime:
        runtime.infer({"images": images})
    assert asked == [1, before]


def test_the_log_level_is_as_it_was(onnx_file, tmp_path):
    level = cv2.utils.logging.getLogLevel()
    OpenCvRuntime(onnx_file).close()
    (tmp_path / "m.onnx").write_bytes(b"none")
    with pytest.raises(BundleError):
        OpenCvRuntime(tmp_path / "m.onnx")
    assert cv2.utils.logging.getLogLevel() == level


@pytest.fixture
def settings():
    """OpenCV's thread count and log level, which differ from what the runtime sets, and are put back."""
    log = cv2.utils.logging
    before = cv2.getNumThreads(), log.getLogLevel()
    cv2.setNumThreads(2)
    log.setLogLevel(log.LOG_LEVEL_WARNING)
    yield lambda: (cv2.getNumThreads(), log.getLogLevel())
    cv2.setNumThreads(before[0])
    log.setLogLevel(before[1])


@pytest.mark.parametrize(
    ("first", "second", "meanwhile"),
    [
        (lambda: _thread_count(1), lambda: _thread_count(1), (1, cv2.utils.logging.LOG_LEVEL_WARNING)),
        (lambda: _thread_count(1), lambda: _thread_count(3), (3, cv2.utils.logging.LOG_LEVEL_WARNING)),
        (_silence, _silence, (2, cv2.utils.logging.LOG_LEVEL_SILENT)),
    ],
)
def test_settings_that_two_runtimes_hold_at_once(settings, first, second, meanwhile):
    before = settings()
    first, second = first(), second()
    first.__enter__()
    second.__enter__()
    assert settings() == meanwhile
    first.__exit__(None, None, None)  # as two threads may leave, and nested blocks may not
    assert settings() == meanwhile
    second.__exit__(None, None, None)
    assert settings() == before


LATIN_1 = ["mod\udce8le.onnx", "mod\udce8les/m.onnx"]  # as Python tells the bytes of è


def latin_1_path(folder, name):
    path = folder / name
    try:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    except OSError:
        pytest.skip("the names of this file system are UTF-8")
    return path


def open_apart(file):
    """The error output of a process that opens the file: OpenCV crashes on such a path."""
    script = "import sys; from pvt_edge.runtimes.opencv import OpenCvRuntime; OpenCvRuntime(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, cwd="/")
    assert done.returncode >= 0, "killed by a signal"
    return done.stderr


@pytest.mark.parametrize("name", LATIN_1)
def test_a_path_that_is_not_utf8(onnx_file, tmp_path, images, answers, name):
    file = latin_1_path(tmp_path, name)
    shutil.copy(onnx_file, file)
    assert open_apart(file) == ""
    with OpenCvRuntime(file) as runtime:
        boxes = runtime.infer({"images": images})["boxes"]
    np.testing.assert_allclose(boxes, answers["boxes"], rtol=0, atol=1e-4)


def test_external_data(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load(graph(tmp_path / "m.onnx", "float32"))
    constants = model.graph.initializer
    constants[0].CopyFrom(onnx.numpy_helper.from_array(np.array([0.5, 2], np.float32), "weight"))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    with OpenCvRuntime(tmp_path / "m.onnx") as runtime:
        np.testing.assert_array_equal(runtime.infer({"x": np.ones(2, np.float32)})["y"], [0.5, 2])

    moved = latin_1_path(tmp_path, LATIN_1[1])
    for file in ("m.onnx", "m.data"):
        shutil.copy(tmp_path / file, moved.parent)
    told = open_apart(moved).splitlines()[-1]
    assert "BundleError: OpenCV 5" in told
    assert "external tensor data" in told
    assert told.endswith(": rename it to UTF-8, or export the model again")
