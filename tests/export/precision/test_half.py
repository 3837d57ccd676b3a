"""Strongly typed FP16: what is half and what is not, what ONNX Runtime gives for it, and what an audit pins."""

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision.extremes import float_activations, observe_extremes, outputs_of
from pvt_edge.export.precision.half import always_float, audit_overflow, to_half

from ..made import build

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


@pytest.fixture(scope="module")
def tiny_onnx(tiny_classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("half") / "model.onnx"
    export_onnx(DeployGraph(tiny_classifier, (64, 96), target="tensorrt"), path)
    return onnx.load(path)


@pytest.fixture(scope="module")
def lite_tensorrt(lite, tmp_path_factory):
    path = tmp_path_factory.mktemp("half") / "lite.onnx"
    export_onnx(DeployGraph(lite, (64, 96), target="tensorrt"), path)
    return onnx.load(path)


def types(model):
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return found | {weight.name: weight.data_type for weight in graph.initializer}


def test_every_layer_and_norm_is_half(lite_tensorrt):
    half = to_half(lite_tensorrt)
    known = types(half)
    nodes = [node for node in half.graph.node if "#" in node.name or node.op_type in ("LayerNormalization", "Gelu")]
    assert len(nodes) > 100
    for node in nodes:
        assert {known[name] for name in node.input} == {HALF}, node.name
        assert {known[name] for name in node.output} == {HALF}, node.name


def test_norms_stay_whole(tiny_onnx):
    def count(model):
        return [node.op_type for node in model.graph.node].count("LayerNormalization")

    assert count(to_half(tiny_onnx)) == count(tiny_onnx) > 0


def test_softmax_is_float32(lite_tensorrt):
    half = to_half(lite_tensorrt)
    known = types(half)
    nodes = [node for node in half.graph.node if node.op_type == "Softmax"]
    assert len(nodes) == 8
    assert {known[name] for node in nodes for name in (*node.input, *node.output)} == {FLOAT}


def test_pixels_and_boxes_are_float32(lite_tensorrt):
    half = to_half(lite_tensorrt)
    known = types(half)
    arithmetic = [n for n in half.graph.node if n.op_type in ("Sub", "Exp", "Sigmoid", "Clip", "Min", "Max")]
    assert {node.op_type for node in arithmetic} >= {"Sub", "Exp", "Sigmoid"}
    found = {known[name] for node in arithmetic for name in node.output}
    assert found == {FLOAT, TensorProto.INT64}  # indices too
    assert [known[output.name] for output in half.graph.output] == [FLOAT, FLOAT, TensorProto.INT64]
    assert (half.graph.input[0].name, known["images"]) == ("images", TensorProto.UINT8)


def test_the_input_goes_only_into_a_cast(tiny_onnx):
    readers = [node.op_type for node in to_half(tiny_onnx).graph.node if "images" in node.input]
    assert readers == ["Cast"]


def test_half_the_bytes_and_nothing_left_over(tiny_onnx):
    half = to_half(tiny_onnx)
    assert half.ByteSize() < 0.6 * tiny_onnx.ByteSize()
    read = {name for node in half.graph.node for name in node.input}
    assert {weight.name for weight in half.graph.initializer} <= read
    assert [o.version for o in half.opset_import if not o.domain] == [20]


def test_answers(tiny_onnx, lite_tensorrt, scenes):
    for got, want in zip(outputs_of(to_half(tiny_onnx), scenes), outputs_of(tiny_onnx, scenes), strict=True):
        assert np.abs(got["logits"] - want["logits"]).max() < 5e-3 * np.abs(want["logits"]).max()
        assert got["logits"].dtype == np.float32
    for got, want in zip(outputs_of(to_half(lite_tensorrt), scenes), outputs_of(lite_tensorrt, scenes), strict=True):
        assert np.abs(np.sort(got["scores"]) - np.sort(want["scores"])).max() < 5e-3


def test_features(tmp_path, scenes):
    """An output that other layers read as well."""
    export_onnx(DeployGraph(build("features", "b0"), (64, 96), target="tensorrt"), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    for got, want in zip(outputs_of(to_half(model), scenes), outputs_of(model, scenes), strict=True):
        assert list(got) == ["stage1", "stage2", "stage3", "stage4"]
        for name, array in got.items():
            assert array.dtype == np.float32
            assert np.abs(array - want[name]).max() < 0.02 * np.abs(want[name]).max()


def overflowing(factor: float) -> onnx.ModelProto:
    """(1, 4, 4, 3) pixels -> y (1, 2, 4, 4): a convolution of `factor`, and one that takes it back."""
    weights = [np.full((2, 3, 1, 1), factor, np.float32), np.eye(2, dtype=np.float32)[:, :, None, None] / factor]
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], "cast", to=FLOAT),
        helper.make_node("Transpose", ["cast"], ["map"], "moved", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["map", "w0"], ["big"], "stages.0.blocks.0.attn.sr#0"),
        helper.make_node("Relu", ["big"], ["bigger"], "relu"),
        helper.make_node("Conv", ["bigger", "w1"], ["small"], "stages.0.blocks.0.attn.k#0"),
        helper.make_node("Conv", ["small", "w2"], ["y"], "head#0"),
    ]
    weights.append(np.eye(2, dtype=np.float32)[:, :, None, None])
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 4, 4, 3])],
        [helper.make_tensor_value_info("y", FLOAT, [1, 2, 4, 4])],
        [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def run_in_half(model: onnx.ModelProto) -> np.ndarray:
    """The output for pixels of 100; ONNX Runtime's CPU widens float16 within its kernels, where nothing overflows."""
    (found,) = ReferenceEvaluator(model).run(None, {"images": PIXELS[1]})
    return found


PIXELS = [np.full((1, 4, 4, 3), value, np.uint8) for value in (0, 100)]


def test_what_overflows_is_pinned_and_right():
    model = overflowing(400.0)  # 400 * 3 * 100 = 120,000
    audit = audit_overflow(model, observe_extremes(model, float_activations(model), PIXELS), "2 pictures")
    assert {row.tensor: row.largest for row in audit.ranges if row.pinned} == {"big": 120_000, "bigger": 120_000}
    assert [row.block for row in audit.ranges if row.pinned] == ["stages.0.blocks.0.attn.sr"] * 2
    assert next(row.kind for row in audit.ranges if row.tensor == "big") == "reduction"
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not np.isfinite(run_in_half(to_half(model))).all()
    np.testing.assert_allclose(run_in_half(to_half(model, audit.pinned)), 300, rtol=2e-3)
    known = types(to_half(model, audit.pinned))
    assert (known["big"], known["small"]) == (FLOAT, FLOAT)
    assert known["y_half"] == HALF  # the last convolution is half again


@pytest.mark.parametrize(("factor", "pinned"), [(1.0, False), (54.0, False), (55.0, True), (1e30, True)])
def test_headroom(factor, pinned):
    """A fourth of 65504 is the limit: pictures in the field go further than those at hand."""
    model = overflowing(factor)
    audit = audit_overflow(model, observe_extremes(model, float_activations(model), PIXELS), "")
    assert ("big" in audit.pinned) is pinned


def test_the_audit_looks_at_every_kind(lite_tensorrt, scenes):
    audit = audit_overflow(
        lite_tensorrt, observe_extremes(lite_tensorrt, float_activations(lite_tensorrt), scenes), "3 scenes"
    )
    kinds = [row.kind for row in audit.ranges]
    assert kinds.count("softmax") == 8
    assert kinds.count("reduction") == 6
    assert kinds.count("residual") >= 16
    assert kinds.count("norm") >= 4  # behind patch embeds; the others read residual sums and reductions
    assert audit.pinned == ()
    assert not {row.tensor for row in audit.ranges} & always_float(lite_tensorrt.graph)


def test_nan_is_pinned():
    model = overflowing(float("inf"))
    audit = audit_overflow(model, observe_extremes(model, float_activations(model), PIXELS), "")
    assert "big" in audit.pinned
