"""OpenVINO files: fp32 against the model, and where INT8 is and is not."""

import numpy as np
import pytest

from pvt_edge.errors import ExportError
from pvt_edge.export.int8 import float_operations, quantise
from pvt_edge.export.openvino import read_model, save_ir
from pvt_edge.export.parity import check_parity
from pvt_edge.runtimes import open_runtime

from .made import pictures, reference_outputs

pytest.importorskip("openvino", reason="OpenVINO is not installed")

BLOCKS = 8  # of b0
LINEARS = 6 * BLOCKS - 2 * 2  # q, k, v, proj, fc1, fc2; in the two blocks of stage 4 q, k and v become one
CONVOLUTIONS = 4 + 6 + 3 * 2 * 2 + 3 * 2  # patch embeds, FPN, towers and outputs of three levels
REDUCTIONS = 6  # two blocks in each of the first three stages
LEVELS = 3


@pytest.fixture(scope="module")
def fp32(lite_onnx, tmp_path_factory):
    path = tmp_path_factory.mktemp("ir") / "openvino" / "fp32.xml"
    weights = save_ir(read_model(lite_onnx), path)
    assert weights == path.with_suffix(".bin")
    return path


@pytest.fixture(scope="module")
def quantised(fp32):
    pytest.importorskip("nncf", reason="NNCF is not installed")
    return quantise(read_model(fp32), pictures(6, 64, 96, seed=100), "images")


def kind_of_inputs(op) -> list[str]:
    return [value.get_node().get_type_name() for value in op.input_values()]


def int8_weight(op) -> bool:
    """Whether the second input is an INT8 constant, behind its scale."""
    node = op.input_value(1).get_node()
    while node.get_type_name() in ("Multiply", "Subtract", "Convert", "Reshape"):
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant" and node.get_element_type().get_type_name() == "i8"


def int8_activation(op) -> bool:
    """Whether the first input is quantised, perhaps moved to another layout since."""
    node = op.input_value(0).get_node()
    while node.get_type_name() in ("Reshape", "Transpose"):
        node = node.input_value(0).get_node()
    return node.get_type_name() == "FakeQuantize"


def operations(model, kind: str) -> list:
    return [op for op in model.get_ops() if op.get_type_name() == kind]


def attention_products(model) -> list:
    """The products of two activations, found through the softmax between them."""
    before, after = [], []
    for softmax in operations(model, "Softmax"):
        before.append(softmax.input_value(0).get_node())
        after += [target.get_node() for target in softmax.output(0).get_target_inputs()]
    return before + after


def spatial_reductions(model):
    """Convolutions whose patches touch and do not overlap: kernel 8, 4 or 2 at the same stride."""
    convolutions = operations(model, "Convolution")
    return [op for op in convolutions if op.get_attributes()["strides"] in ([8, 8], [4, 4], [2, 2])
            and list(op.input_value(1).get_shape())[2:] == op.get_attributes()["strides"]]  # fmt: skip


def test_fp32_gives_the_models_answers(fp32, lite_graph, scenes):
    with open_runtime("openvino", fp32, precision="fp32", threads=1) as runtime:
        assert (runtime.precision, runtime.float_precision) == ("fp32", "fp32")
        assert check_parity(runtime, "images", scenes, reference_outputs(lite_graph, scenes))
        for image, wanted in zip(scenes, reference_outputs(lite_graph, scenes), strict=True):
            found = runtime.infer({"images": image})
            assert [*found] == ["boxes", "scores", "labels"]
            for name in ("boxes", "scores"):
                gap = abs(found[name] - wanted[name]).max() / abs(wanted[name]).max()
                assert gap < 1e-4, name
            assert (found["labels"] == wanted["labels"]).all()


def test_fp32_weights_stay_fp32(fp32, lite_graph):
    weights = sum(parameter.numel() for parameter in lite_graph.parameters()) * 4
    assert fp32.with_suffix(".bin").stat().st_size > 0.9 * weights


def test_what_stays_float(fp32):
    model = read_model(fp32)
    names = set(float_operations(model))
    products = {op.get_friendly_name() for op in attention_products(model)}
    depthwise = {op.get_friendly_name() for op in operations(model, "GroupConvolution")}
    reductions = {op.get_friendly_name() for op in spatial_reductions(model)}
    tables = {op.get_friendly_name() for op in operations(model, "Gather")}
    assert (len(products), len(depthwise)) == (2 * BLOCKS, BLOCKS)
    assert (len(reductions), len(tables)) == (REDUCTIONS, LEVELS)
    assert names == products | depthwise | reductions | tables


def test_what_stays_float_is_not_quantised(quantised):
    products = attention_products(quantised)
    assert {op.get_type_name() for op in products} == {"MatMul"}
    left = [*products, *operations(quantised, "GroupConvolution"), *spatial_reductions(quantised)]
    assert len(left) == 3 * BLOCKS + REDUCTIONS
    left += operations(quantised, "Gather")  # the anchors of each level, to the last digit
    for op in left:
        assert "FakeQuantize" not in kind_of_inputs(op), op.get_friendly_name()
        assert not int8_activation(op), op.get_friendly_name()
        assert not int8_weight(op), op.get_friendly_name()


def test_linears_and_convolutions_are_quantised(quantised):
    for kind, count in (("MatMul", LINEARS), ("Convolution", CONVOLUTIONS)):
        layers = [op for op in operations(quantised, kind) if int8_weight(op)]
        assert len(layers) == count
        assert all(int8_activation(op) for op in layers)


def test_int8_runs_and_is_close(quantised, lite_graph, scenes, tmp_path):
    path = tmp_path / "int8.xml"
    save_ir(quantised, path)
    with open_runtime("openvino", path, precision="int8", threads=1) as runtime:
        assert runtime.precision == "int8"
        for image, wanted in zip(scenes, reference_outputs(lite_graph, scenes), strict=True):
            found = runtime.infer({"images": image})
            # random weights spread over INT8's range like no trained ones, so this is loose
            gaps = [abs(np.sort(found[name], axis=1) - np.sort(wanted[name], axis=1)) for name in ("scores", "boxes")]
            assert gaps[0].mean() < 0.05
            assert gaps[1].mean() < 4  # pixels
            assert found["scores"].std() > 0.5 * wanted["scores"].std()


def test_the_model_given_is_left_as_it_was(fp32, quantised):
    model = read_model(fp32)
    quantise(model, pictures(1, 64, 96), "images")
    assert not operations(model, "FakeQuantize")


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ExportError, match=r"OpenVINO cannot read broken\.onnx"):
        read_model(path)
