"""ONNX Runtime: the contract, the precision a file holds, devices, a free batch."""

from dataclasses import replace

import numpy as np
import pytest

from pvt_edge.errors import RuntimeInputError, RuntimeMissingError
from pvt_edge.runtimes import missing, open_runtime
from pvt_edge.runtimes.onnx_file import read_onnx
from pvt_edge.runtimes.onnxruntime import OnnxRuntime

from .contract import INPUTS, FileContract

onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


class TestOnnxRuntime(FileContract):
    name = "onnxruntime"

    @pytest.fixture
    def file(self, onnx_file):
        return onnx_file


@pytest.mark.parametrize("kept", [0.5, 0.98])
def test_precision_of_a_file_cut_short(onnx_file, tmp_path, kept):
    data = onnx_file.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match="the file is cut short"):
        read_onnx(tmp_path / "cut.onnx")


@pytest.mark.parametrize("name", ["onnxruntime", "opencv"])
def test_what_model_json_says_is_not_read_from_the_file(name, onnx_file):
    """Both take the precision that is said, true or not: the library has no word of its own to it."""
    if missing(name):
        pytest.skip(f"{name} is not installed")
    read = read_onnx(onnx_file)
    assert (read.precision, read.inputs) == ("fp32", INPUTS)
    with open_runtime(name, onnx_file, spec=read) as runtime:
        assert (runtime.precision, runtime.inputs, runtime.outputs) == (read.precision, read.inputs, read.outputs)
    with pytest.raises(RuntimeInputError, match="holds fp16"):
        open_runtime(name, onnx_file, precision="fp32", spec=replace(read, precision="fp16"))


def test_free_batch(free_batch_onnx_file, images, answers):
    with OnnxRuntime(free_batch_onnx_file) as runtime:
        assert runtime.inputs[0].shape == (-1, 48, 64, 3)
        assert {spec.name: spec.shape for spec in runtime.outputs} == {
            "boxes": (-1, 10, 4),
            "scores": (-1, 10),
            "labels": (-1, 10),
        }
        boxes = runtime.infer({"images": np.repeat(images, 3, 0)})["boxes"]
    np.testing.assert_allclose(boxes, np.repeat(answers["boxes"], 3, 0), rtol=0, atol=1e-4)


def graph(path, dtype, quantised=False):
    """x -> x * weight, in `dtype`; with `quantised`, through QuantizeLinear and DequantizeLinear."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper

    kind = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}[dtype]
    nodes = [helper.make_node("Mul", ["x", "weight"], ["y"])]
    constants = [helper.make_tensor("weight", kind, [2], [0.5, 2.0])]
    if quantised:
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
            helper.make_node("Mul", ["d", "weight"], ["y"]),
        ]
        constants += [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [1.0]),
            helper.make_tensor("zero", TensorProto.INT8, [], [0]),
        ]
    ports = [helper.make_tensor_value_info(name, kind, [2]) for name in ("x", "y")]
    made = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("dtype", "quantised", "precision"),
    [
        ("float32", False, "fp32"),
        ("float16", False, "fp16"),
        ("bfloat16", False, "bf16"),
        ("float32", True, "int8"),
    ],
)
def test_precision_is_what_the_file_holds(tmp_path, dtype, quantised, precision):
    assert read_onnx(graph(tmp_path / "m.onnx", dtype, quantised)).precision == precision


@pytest.mark.parametrize(
    ("dtype", "quantised", "precision", "y"),
    [("float16", False, "fp16", [0.5, 5.0]), ("float32", True, "int8", [0.5, 4.0])],
)
def test_runs_other_precisions(tmp_path, dtype, quantised, precision, y):
    file = graph(tmp_path / "m.onnx", dtype, quantised)
    with OnnxRuntime(file, precision=precision) as runtime:
        assert runtime.precision == precision
        assert runtime.inputs[0].dtype == dtype
        assert runtime.infer({"x": np.array([1, 2.5], dtype)})["y"].tolist() == y  # 2.5 rounds to the even 2
    with pytest.raises(RuntimeInputError, match=f"holds {precision}, asked for fp32: ask for {precision} or auto"):
        OnnxRuntime(file, precision="fp32")


def test_an_approximation_is_a_float_file_that_is_called_so(tmp_path):
    with OnnxRuntime(graph(tmp_path / "m.onnx", "float32"), precision="approx") as runtime:
        assert (runtime.precision, runtime.float_precision) == ("approx", "fp32")
        assert runtime.infer({"x": np.array([1, 2.5], "float32")})["y"].tolist() == [0.5, 5.0]
    with pytest.raises(RuntimeInputError, match="holds fp16, asked for approx"):
        OnnxRuntime(graph(tmp_path / "h.onnx", "float16"), precision="approx")


def test_the_other_byte_order_is_the_same_number(tmp_path):
    with OnnxRuntime(graph(tmp_path / "m.onnx", "float32")) as runtime:
        assert runtime.infer({"x": np.array([1, 2], ">f4")})["y"].tolist() == [0.5, 4.0]


def test_refusals_of_what_is_not_a_picture(tmp_path):
    file = graph(tmp_path / "m.onnx", "float32")
    with OnnxRuntime(file) as runtime, pytest.raises(RuntimeInputError) as caught:
        runtime.infer({"x": np.zeros(3)})
    assert str(caught.value) == (
        "input 'x': expected float32 (2,), got float64 (3,): pass an array of that dtype and shape"
    )


@pytest.mark.parametrize("device", ["tpu", "cpu:1", "cuda:x"])
def test_no_such_device(onnx_file, device):
    with pytest.raises(RuntimeMissingError, match=f"onnxruntime has no device '{device}'"):
        OnnxRuntime(onnx_file, device=device)


def test_cuda_where_it_is_not(onnx_file):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(RuntimeMissingError, match=r"no CUDAExecutionProvider, it has .*onnxruntime-gpu"):
        OnnxRuntime(onnx_file, device="cuda:0")
    with OnnxRuntime(onnx_file, device="auto") as runtime:
        assert runtime.device == "cpu"
