"""Q/DQ files: TensorRT's rules, what ONNX Runtime gives for them, and that OpenVINO gives the same."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest

from pvt_edge.bundle.block_names import block_of
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.export.precision.placement import place
from pvt_edge.export.precision.qdq import LAYERS, add_qdq
from pvt_edge.tasks import agreement

from .network import answers

STAGE = "stages.1.blocks.0"
SINGLES = [
    "stages.0.patch_embed",
    "stages.1.patch_embed",
    f"{STAGE}.attn.sr",
    *(f"{STAGE}.attn.{name}" for name in ("q", "k", "v", "proj", "products")),
    *(f"{STAGE}.mlp.{name}" for name in ("fc1", "dwconv", "fc2")),
    "stages.2.blocks.0.attn.sr",
    "stages.3.blocks.0.mlp.dwconv",
    "head",
]
ALWAYS_FLOAT = "stages.0.blocks.0.attn.sr#0"  # OpenVINO miscounts it
SAME = 2e-4  # of the largest logit: rounding that fell the other way; measured up to 3e-5
FROM_ZERO = 2e-3  # OpenVINO has 256 steps for what is never negative, Q/DQ 127; measured up to 3e-4

MLP_AND_HEAD = r"\.mlp\.(fc1|dwconv|fc2)$|^(neck\.output|head\.(cls|reg))\.\d+$|^head\.(cls|reg)_out$"


def run(model: onnx.ModelProto, pictures: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": pictures})


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


class Graph:
    """A model's initializers, and the node that makes each tensor."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.arrays = {array.name: onnx.numpy_helper.to_array(array) for array in model.graph.initializer}
        self.makers = {output: node for node in self.nodes for output in node.output}
        named = {node.name: node for node in self.nodes if node.op_type in LAYERS and "#" in node.name}
        self.layers = {name: node for name, node in named.items() if name != ALWAYS_FLOAT}

    def maker(self, tensor: str) -> onnx.NodeProto | None:
        """What made `tensor`, past operations that only move it."""
        node = self.makers.get(tensor)
        while node is not None and node.op_type in ("Reshape", "Transpose", "Squeeze", "Unsqueeze"):
            node = self.makers.get(node.input[0])
        return node


@pytest.fixture(scope="module")
def plain(dynamic_onnx):
    return onnx.load(dynamic_onnx)


@pytest.fixture(scope="module")
def blocks(dynamic):
    return find_blocks(dynamic)


@pytest.fixture(scope="module")
def whole(plain, blocks, dynamic_ranges):
    """Everything in INT8 that may be."""
    return add_qdq(plain, blocks, dynamic_ranges)


def test_the_checker_takes_it(whole, plain):
    onnx.checker.check_model(whole, full_check=True)
    assert [x.name for x in whole.graph.input] == ["images"]
    assert [x.name for x in whole.graph.output] == ["logits"]
    assert (whole.ir_version, whole.opset_import) == (plain.ir_version, plain.opset_import)


def test_only_symmetric_int8(whole):
    """TensorRT takes int8 with zero point 0, activations by one scale, weights by one an output channel."""
    graph = Graph(whole)
    pairs = [node for node in graph.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        scale, zero = (graph.arrays[name] for name in node.input[1:])
        assert zero.dtype == np.int8
        assert not zero.any()
        assert scale.dtype == np.float32
        assert zero.shape == scale.shape
        assert (scale > 0).all()
        if node.input[0] not in graph.arrays:
            assert scale.shape == ()


def test_weights_are_int8_by_output_channel(whole, plain):
    graph, before = Graph(whole), Graph(plain)
    kinds = set()
    for name, node in graph.layers.items():
        if ".products#" in name:
            continue
        kinds.add(node.op_type)
        dequantise = graph.makers[node.input[1]]
        assert dequantise.op_type == "DequantizeLinear"
        values, scale = (graph.arrays[tensor] for tensor in dequantise.input[:2])
        wanted = before.arrays[before.layers[name].input[1]]
        transposed = node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute)
        axis = 0 if transposed else 1
        assert [a.i for a in dequantise.attribute if a.name == "axis"] == [axis]
        assert (values.dtype, scale.shape) == (np.int8, (wanted.shape[axis],))
        scale = scale.reshape([-1 if i == axis else 1 for i in range(wanted.ndim)])
        assert (np.abs(values * scale - wanted) <= scale * 0.501).all()
    assert kinds == {"Conv", "Gemm"}


LINEARS = [("MatMul", {}, 1), ("Gemm", {}, 1), ("Gemm", {"transB": 1}, 0)]  # axis of the output channels


@pytest.mark.parametrize(("kind", "attributes", "axis"), LINEARS)
def test_the_output_channels_of_a_linear(kind, attributes, axis):
    """Columns of what is not transposed; TensorRT takes no scales along what is summed."""
    weight = np.random.default_rng(0).uniform(-1, 1, (3, 3)).astype(np.float32)
    weight *= np.float32([1, 20, 300]).reshape((1, 3) if axis else (3, 1))
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, ["images", "weight"], ["logits"], "head#0", **attributes)],
        "linear",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    quantised = add_qdq(model, ["head"], {"head#0:0": (-1.0, 1.0)})
    [dequantise] = [node for node in quantised.graph.node if node.name == "weight_dequantise"]
    assert [(a.name, a.i) for a in dequantise.attribute] == [("axis", axis)]
    x = np.float32([[1, -64 / 127, 0]])  # on the grid
    [found], [wanted] = run(quantised, x), run(model, x)
    assert (np.abs(found - wanted) < [[0.01, 0.2, 3]]).all()
    assert (np.abs(found - wanted) > 0).any()


def test_every_layer_reads_quantised_tensors(whole):
    for name, node in Graph(whole).layers.items():
        for tensor in node.input[: 2 if ".products#" in name else 1]:
            assert Graph(whole).maker(tensor).op_type == "DequantizeLinear", name


def test_no_float_copy_of_an_int8_weight_remains(whole, plain):
    before, graph = Graph(plain), Graph(whole)
    weights = {node.input[1] for name, node in before.layers.items() if ".products#" not in name}
    assert len(weights) == 35
    assert not weights & set(graph.arrays)
    floats = sorted(array.size for array in graph.arrays.values() if array.dtype == np.float32)
    assert floats[-1] == 32 * 32 * 8 * 8  # of the one that is always float
    assert floats[-2] < 2048  # biases, scales, a row of the mean
    read = {tensor for node in graph.nodes for tensor in node.input}
    assert set(graph.arrays) <= read
    assert whole.ByteSize() < 0.35 * plain.ByteSize()


def test_float_blocks_are_untouched(plain, blocks, dynamic_ranges):
    chosen = {f"{STAGE}.mlp.fc1", f"{STAGE}.attn.q"}
    graph, before = Graph(add_qdq(plain, chosen, dynamic_ranges)), Graph(plain)
    assert sum(node.op_type == "QuantizeLinear" for node in graph.nodes) == 2
    assert list(graph.layers) == list(before.layers)
    for name, node in graph.layers.items():
        if block_of(name) in chosen:
            assert node.input[1] not in graph.arrays
            assert graph.maker(node.input[0]).op_type == "DequantizeLinear"
        else:
            assert node == before.layers[name]
            if node.input[1] in before.arrays:
                assert (graph.arrays[node.input[1]] == before.arrays[node.input[1]]).all()


def test_a_tensor_is_quantised_once(plain, dynamic_ranges):
    """q and the reduction read one tensor."""
    graph = Graph(add_qdq(plain, {f"{STAGE}.attn.q", f"{STAGE}.attn.sr"}, dynamic_ranges))
    assert sum(node.op_type == "QuantizeLinear" for node in graph.nodes) == 1


def test_the_original_is_left_as_it_was(plain, blocks, dynamic_ranges):
    before = plain.SerializeToString()
    add_qdq(plain, blocks, dynamic_ranges)
    assert plain.SerializeToString() == before


def test_nothing_in_int8_is_the_float_model(plain, dynamic_ranges, scenes):
    empty = add_qdq(plain, [], dynamic_ranges)
    assert [node.op_type for node in empty.graph.node] == [node.op_type for node in plain.graph.node]
    assert (run(empty, scenes[0])[0] == run(plain, scenes[0])[0]).all()


def test_a_batch_gives_what_its_pictures_give(whole, scenes):
    together = run(whole, np.concatenate(scenes))[0]
    assert together.shape == (3, 3)
    alone = np.concatenate([run(whole, picture)[0] for picture in scenes])
    assert relative(together, alone) < 1e-5
    assert np.ptp(together, axis=0).max() > 0.01


@pytest.mark.parametrize("block", SINGLES)
def test_one_block_gives_what_openvino_gives(plain, dynamic, dynamic_ranges, scenes, block):
    [exact] = run(plain, scenes[1])
    [ours] = run(add_qdq(plain, {block}, dynamic_ranges), scenes[1])
    [theirs] = answers(place(dynamic, {block}, dynamic_ranges), scenes[1])
    assert relative(ours, theirs) < (FROM_ZERO if block.endswith("products") else SAME)
    assert 1e-6 < relative(ours, exact) < 0.02  # it is rounded, and no more than that


DETECTORS = [  # blocks, least F1, most drift of a score; random weights make more of a difference than trained ones
    (r"^neck\.output|^head\.(cls|reg)\.0$|\.fc1$", 0.98, 0.001),
    (
        MLP_AND_HEAD,
        0.95,
        0.01,
    ),  # with what is never negative
]


@pytest.mark.parametrize(("pattern", "f1", "drift"), DETECTORS)
def test_a_detector_detects_what_openvino_detects(lite_onnx, detector, detector_ranges, scenes, pattern, f1, drift):
    plain, blocks = onnx.load(lite_onnx), {name for name in find_blocks(detector) if re.search(pattern, name)}
    names = [output.name for output in plain.graph.output]
    models = plain, add_qdq(plain, blocks, detector_ranges)
    exact, ours = ([dict(zip(names, run(model, picture), strict=True)) for picture in scenes] for model in models)
    placed = place(detector, blocks, detector_ranges)
    theirs = [dict(zip(names, answers(placed, picture), strict=True)) for picture in scenes]
    scores = np.sort(np.concatenate([arrays["scores"][0] for arrays in exact]))[::-1]
    post = PostprocessSpec(conf=float(scores[300]), iou=1.0, max_det=300)
    figures = agreement("detect", ours, theirs, post)
    assert figures["f1"] > f1
    assert figures["score_drift"] < drift
    assert agreement("detect", ours, exact, post)["score_drift"] > 1e-4  # it is rounded
