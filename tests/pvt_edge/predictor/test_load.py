"""Which artifact of a bundle runs, and a small real bundle that does."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pvt_edge.bundle.reader import Bundle
from pvt_edge.bundle.writer import BundleWriter
from pvt_edge.errors import BundleError, RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.predictor import load
from pvt_edge.predictor.choice import choose_artifact, choose_runtime
from pvt_edge.runtimes import RUNTIMES, bundled_runtimes

from .finder import INPUT_HW, LABELS, manifest, picture

ALL = [(runtime, precision) for runtime in bundled_runtimes() if runtime != "opencv" for precision in ("fp32", "int8")]
OV_FP32, OV_INT8 = ("openvino", "fp32"), ("openvino", "int8")
ORT_FP32, ORT_INT8 = ("onnxruntime", "fp32"), ("onnxruntime", "int8")
TRT_FP16, TRT_FP32 = ("tensorrt", "fp16"), ("tensorrt", "fp32")


@pytest.mark.parametrize(
    ("held", "stated", "runtime", "asked", "stored", "run_as"),
    [
        ([OV_FP32], {}, "openvino", "auto", "fp32", "auto"),  # bf16 where the CPU has it
        ([OV_FP32, OV_INT8], {}, "openvino", "auto", "int8", "int8"),
        ([OV_FP32, OV_INT8], {"openvino": "bf16"}, "openvino", "auto", "fp32", "auto"),
        ([OV_FP32, OV_INT8], {"openvino": "fp32"}, "openvino", "auto", "fp32", "fp32"),
        ([OV_FP32, OV_INT8], {"onnxruntime": "fp32"}, "openvino", "auto", "int8", "int8"),
        ([OV_FP32], {}, "openvino", "bf16", "fp32", "bf16"),
        ([OV_FP32], {}, "openvino", "fp16", "fp32", "fp16"),
        ([OV_FP32, OV_INT8], {}, "openvino", "fp32", "fp32", "fp32"),
        ([ORT_FP32], {}, "onnxruntime", "auto", "fp32", "fp32"),
        ([ORT_FP32, OV_INT8], {}, "onnxruntime", "auto", "fp32", "fp32"),
        ([TRT_FP32, TRT_FP16], {}, "tensorrt", "auto", "fp16", "fp16"),
        ([OV_FP32, ORT_FP32, ORT_INT8], {"onnxruntime": "int8"}, "opencv", "auto", "fp32", "fp32"),
        ([ORT_FP32], {}, "opencv", "fp32", "fp32", "fp32"),
    ],
)
def test_the_precision_that_runs(tmp_path, held, stated, runtime, asked, stored, run_as):
    bundle = Bundle(tmp_path, manifest(artifacts=held, auto_precision=stated))
    artifact, precision = choose_artifact(bundle, runtime, asked)
    lender = {"opencv": "onnxruntime"}.get(runtime, runtime)  # OpenCV runs that one's file
    assert (artifact.runtime, artifact.precision, precision) == (lender, stored, run_as)


@pytest.mark.parametrize(
    ("held", "excluded", "runs"),
    [
        ([OV_FP32, OV_INT8], {"openvino-int8": "lost"}, ("fp32", "auto")),
        ([OV_FP32, OV_INT8], {"openvino-int8": "lost", "openvino-bf16": "lost"}, ("fp32", "fp32")),
        ([OV_FP32], {"openvino-bf16": "lost"}, ("fp32", "fp32")),
    ],
)
def test_auto_never_takes_what_the_export_calls_outside(tmp_path, held, excluded, runs):
    bundle = Bundle(tmp_path, manifest(artifacts=held, auto_excluded=excluded))
    artifact, precision = choose_artifact(bundle, "openvino")
    assert (artifact.precision, precision) == runs
    assert choose_artifact(bundle, "openvino", "bf16")[1] == "bf16"  # who asks for it has it


def test_where_all_is_outside_the_reason_is_said(tmp_path):
    bundle = Bundle(tmp_path, manifest(artifacts=[OV_INT8], auto_excluded={"openvino-int8": "loses 0.0312"}))
    with pytest.raises(BundleError, match=r"loses 0\.0312"):
        choose_artifact(bundle, "openvino")
    assert choose_artifact(bundle, "openvino", "int8")[1] == "int8"


@pytest.mark.parametrize(
    ("runtime", "asked", "error", "words"),
    [
        ("onnxruntime", "int8", BundleError, "it has openvino fp32, onnxruntime fp32"),
        ("onnxruntime", "bf16", BundleError, "it has openvino fp32, onnxruntime fp32"),
        ("openvino", "int4", UnknownNameError, "did you mean 'int8'"),
        ("opencv", "int8", RuntimeInputError, "the opencv runtime takes precision auto, fp32; got int8"),
    ],
)
def test_a_precision_the_bundle_lacks_lists_what_is_there(tmp_path, runtime, asked, error, words):
    bundle = Bundle(tmp_path, manifest(artifacts=[OV_FP32, ORT_FP32]))
    with pytest.raises(error, match=words):
        choose_artifact(bundle, runtime, asked)


def not_installed(monkeypatch, *names):
    """Let the runtimes' packages be ones that are nowhere installed."""
    for name in names:
        monkeypatch.setitem(RUNTIMES, name, replace(RUNTIMES[name], packages=(f"no_such_{name}",)))


@pytest.mark.parametrize(
    ("held", "absent", "chosen"),
    [
        (ALL, (), "openvino"),
        (ALL, ("openvino",), "onnxruntime"),
        ([ORT_FP32], (), "onnxruntime"),
        ([ORT_FP32, TRT_FP16], ("openvino",), "onnxruntime"),
        ([OV_FP32, ORT_FP32], ("openvino", "onnxruntime"), "opencv"),
        ([OV_FP32, ORT_FP32], ("onnxruntime",), "openvino"),
    ],
)
def test_auto_takes_the_first_runtime_that_can(tmp_path, monkeypatch, held, absent, chosen):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    not_installed(monkeypatch, *absent)
    assert choose_runtime(Bundle(tmp_path, manifest(artifacts=held))) == chosen


@pytest.mark.parametrize(
    ("held", "absent", "extras"),
    [([OV_FP32, ORT_FP32], (), "openvino"), ([ORT_FP32], ("opencv",), "onnxruntime,opencv")],
)
def test_where_nothing_is_installed_one_command_is_told(tmp_path, monkeypatch, held, absent, extras):
    not_installed(monkeypatch, "openvino", "onnxruntime", *absent)
    monkeypatch.delattr("cv2.dnn.ENGINE_NEW", raising=False)
    with pytest.raises(RuntimeMissingError) as caught:
        choose_runtime(Bundle(tmp_path, manifest(artifacts=held)))
    assert str(caught.value) == f'no runtime for {tmp_path} is installed: pip install "pvt-edge[{extras}]"'


def test_when_nothing_can_run_each_says_why(tmp_path, monkeypatch):
    not_installed(monkeypatch, "onnxruntime", "tensorrt")
    monkeypatch.delattr("cv2.dnn.ENGINE_NEW", raising=False)
    bundle = Bundle(tmp_path, manifest(artifacts=[ORT_FP32, TRT_FP16]))
    with pytest.raises(RuntimeMissingError) as caught:
        choose_runtime(bundle)
    assert 'pip install "pvt-edge[onnxruntime]"' in str(caught.value)
    assert "no_such_tensorrt" in str(caught.value)
    assert "the opencv runtime needs the DNN engine of OpenCV 5" in str(caught.value)


@pytest.mark.parametrize(
    ("runtime", "error", "words"),
    [
        ("onnxruntime", BundleError, "has nothing for onnxruntime: it has openvino fp32"),
        ("opencv", BundleError, "has nothing for opencv: it has openvino fp32"),
        ("openvion", UnknownNameError, "did you mean 'openvino'"),
    ],
)
def test_a_runtime_the_bundle_lacks(tmp_path, runtime, error, words):
    with pytest.raises(error, match=words):
        choose_runtime(Bundle(tmp_path, manifest(artifacts=[OV_FP32])), runtime)


@pytest.fixture(scope="module")
def real_bundle(tmp_path_factory):
    """A bundle on disk whose graph gives each channel's mean over 50 as its logit."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "fifty"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("axes", kinds.INT64, [2], [1, 2]),
        helper.make_tensor("fifty", kinds.FLOAT, [1], [50.0]),
    ]
    pixels = helper.make_tensor_value_info("images", kinds.UINT8, [1, *INPUT_HW, 3])
    logits = helper.make_tensor_value_info("logits", kinds.FLOAT, [1, 3])
    graph = helper.make_graph(nodes, "means", [pixels], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder = tmp_path_factory.mktemp("bundles") / "means"
    with BundleWriter(folder) as writer:
        onnx.save(model, writer.path("model.fp32.onnx"))
        artifact = writer.artifact("onnxruntime", "fp32", "model.fp32.onnx")
        writer.finish(manifest("classify", artifacts=()).model_copy(update={"artifacts": (artifact,)}))
    return folder


def test_a_bundle_on_disk_is_loaded_and_runs(real_bundle):
    pytest.importorskip("onnxruntime")
    image = picture((2, 0, 0, 640, 480), (1, 0, 0, 320, 480))
    with load(real_bundle, threads=1) as predictor:
        assert (predictor.runtime.name, predictor.runtime.precision) == ("onnxruntime", "fp32")
        assert predictor.names == LABELS
        shares = predictor(image).probs.data
        arrays = predictor.runtime.infer({"images": np.zeros((1, *INPUT_HW, 3), np.uint8)})
    expected = np.exp([0, 2.55, 2.55]) / np.exp([0, 2.55, 2.55]).sum()
    np.testing.assert_allclose(shares, expected, atol=0.01)
    assert arrays["logits"].tolist() == [[0, 0, 0]]


def test_load_hands_threads_and_device_to_the_runtime(real_bundle):
    pytest.importorskip("onnxruntime")
    with pytest.raises(RuntimeInputError, match="threads must be at least 1"):
        load(real_bundle, threads=0)
    with pytest.raises(RuntimeMissingError, match="toaster"):
        load(real_bundle, device="toaster")


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path):
    code = "import sys, pvt_edge.predictor, pvt_edge.sinks; print({'cv2', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "set()"


def test_load_refuses_what_the_bundle_lacks(real_bundle):
    with pytest.raises(BundleError, match="it has onnxruntime fp32"):
        load(real_bundle, precision="int8")
    with pytest.raises(BundleError, match="has nothing for openvino"):
        load(real_bundle, "openvino")
    with pytest.raises(BundleError, match="no bundle at"):
        load(real_bundle.parent / "nothing")
