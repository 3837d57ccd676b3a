"""INT8 for ONNX Runtime: its int8 kernels run what the plan says, and give nearly the float answers."""

import numpy as np
import onnx
import onnxruntime
import pytest

from pvt_edge.bundle.block_names import block_of
from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision.extremes import placeable_blocks
from pvt_edge.export.precision.onnx_int8 import to_onnx_int8
from pvt_edge.export.precision.recipes import RECIPES

from .conftest import IMGSZ
from .test_qdq import relative, run

LINEAR = RECIPES[3]  # all that has weights


@pytest.fixture(scope="module")
def plain(tiny_classifier, tmp_path_factory):
    """The tiny classifier in the form that INT8 in ONNX Runtime is made of, for any batch."""
    path = tmp_path_factory.mktemp("rows") / "model.onnx"
    export_onnx(DeployGraph(tiny_classifier, IMGSZ, target="onnxruntime-int8"), path, dynamic_batch=True)
    return onnx.load(path)


@pytest.fixture(scope="module")
def blocks(plain):
    return LINEAR.blocks(placeable_blocks(plain))


@pytest.fixture(scope="module")
def whole(plain, blocks, scenes):
    return to_onnx_int8(plain, blocks, scenes)


def kernels(model: onnx.ModelProto, folder) -> list[str]:
    """What ONNX Runtime makes of the graph's operators."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node]


def test_every_layer_runs_in_an_int8_kernel(whole, plain, blocks, tmp_path):
    layers = [node for node in plain.graph.node if "#" in node.name and block_of(node.name) in blocks]
    products, convolutions = (sum(node.op_type == kind for node in layers) for kind in ("Gemm", "Conv"))
    assert (products, convolutions) == (4 * 6 + 3 - 4 + 1, 4 * 2 + 3)  # q, k, v, proj, fc2; reductions; head
    found = kernels(whole, tmp_path)
    assert found.count("QGemm") == products
    assert found.count("QLinearConv") == convolutions
    assert found.count("Gemm") == 0
    assert sum(kind.endswith("Conv") for kind in found) == convolutions + 1  # the first patch embed


def test_the_answers_are_nearly_the_float_ones(whole, plain, scenes):
    for picture in scenes:
        gap = relative(run(whole, picture)[0], run(plain, picture)[0])
        assert 1e-4 < gap < 0.1


def test_a_batch_gives_what_its_pictures_give(whole, scenes):
    alone = np.concatenate([run(whole, picture)[0] for picture in scenes])
    assert relative(run(whole, np.concatenate(scenes))[0], alone) < 1e-5
    assert np.ptp(alone, axis=0).max() > 0.01


def test_float_blocks_are_untouched(plain, scenes):
    chosen = {"stages.1.blocks.0.mlp.fc2", "stages.1.patch_embed"}
    quantised = to_onnx_int8(plain, chosen, scenes)
    before = {node.name: node for node in plain.graph.node if "#" in node.name}
    read = [node.input[0] for node in quantised.graph.node if node.op_type == "QuantizeLinear"]
    assert sum(not name.endswith("_moved") for name in read) == 3  # both inputs, one output
    for node in quantised.graph.node:
        if "#" in node.name and block_of(node.name) not in chosen:
            assert node == before[node.name]


def test_nothing_in_int8_is_the_float_model(plain, scenes):
    empty = to_onnx_int8(plain, [], scenes)
    assert (run(empty, scenes[0])[0] == run(plain, scenes[0])[0]).all()


def test_a_convolution_whose_result_is_an_answer_stays_float():
    """A detector's scores would have 256 steps."""
    weights = [onnx.numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), name) for name in ("first", "last")]
    shape = [1, 1, 2, 2]
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Conv", ["images", "first"], ["inner"], "neck#0"),
            onnx.helper.make_node("Conv", ["inner", "last"], ["raw"], "head#0"),
            onnx.helper.make_node("Sigmoid", ["raw"], ["scores"], "sigmoid"),
        ],
        "convolutions",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, shape)],
        weights,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    found = to_onnx_int8(model, {"neck", "head"}, [np.linspace(-1, 1, 4, dtype=np.float32).reshape(shape)])
    read = {node.name: node.input[1] for node in found.graph.node if node.op_type == "Conv"}
    assert read == {"neck#0": "first_dequantised", "head#0": "last"}


def test_a_channel_without_weight_keeps_its_bias():
    """In steps of what its weight would have, a bias of 3 is no int32."""
    weight = np.float32([[0.5, -0.5, 0.25], [0, 0, 0]])
    linear = {"transB": 1, "alpha": 1.0, "beta": 1.0}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gemm", ["images", "weight", "bias"], ["logits"], "head#0", **linear)],
        "linear",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 2])],
        [onnx.numpy_helper.from_array(weight, "weight"), onnx.numpy_helper.from_array(np.float32([1, 3]), "bias")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    x = np.float32([[1, -1, 0]])
    [found] = run(to_onnx_int8(model, {"head"}, [x]), x)
    assert np.abs(found - [[2, 3]]).max() < 0.02
