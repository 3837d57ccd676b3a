"""What TensorRT-RTX makes of the graphs, kernel by kernel; it builds without a GPU."""

import pytest

ATTENTIONS = {"b0": 8, "b2": 16, "cells": 8, "retinanet": 8, "b2-li": 16, "untrained": 8, "v1": 8}
TARGETS = ("sm86", "sm89", "sm120")
CASES = [
    (name, precision, target)
    for name in ("b0", "b2", "cells", "retinanet")
    for precision in ("fp16", "int8")
    for target in TARGETS
]
# A depthwise convolution gains nothing from INT8 and stays float16, with its GELU in one kernel.
FLOAT_IN_INT8 = ".mlp.dwconv"


@pytest.mark.parametrize(("name", "precision", "target"), CASES)
def test_every_attention_is_one_kernel(built, name, precision, target):
    _, layers = built(name, precision, target)
    assert sum(layer.fused_attention for layer in layers) == ATTENTIONS[name]
    # nothing of attention is left outside
    outside = [
        layer.name
        for layer in layers
        if "MaxrSubExp" in layer.name or layer.name.startswith("stages.0.blocks.0.attn.products")
    ]
    assert outside == []


@pytest.mark.parametrize(("name", "target"), [(n, t) for n, p, t in CASES if p == "int8"])
def test_linears_and_convolutions_run_in_int8(built, name, target):
    _, layers = built(name, "int8", target)
    products = [layer for layer in layers if layer.matrix_product]
    kinds = {layer.name: layer.inputs[0].dtype for layer in products}
    floats = {layer.name: layer.blocks for layer in products if layer.inputs[0].dtype != "Int8"}
    assert len(kinds) - len(floats) > 40
    assert all(block.endswith(FLOAT_IN_INT8) for blocks in floats.values() for block in blocks if "mlp" in block), (
        floats
    )
    assert {name for name, blocks in floats.items() if not any(b.endswith(FLOAT_IN_INT8) for b in blocks)} == set()
    # and their weights are stored as such
    assert all(layer.constants[0].dtype == "Int8" for layer in products if layer.name not in floats)


@pytest.mark.parametrize(("name", "precision", "target"), CASES)
def test_norms_compute_in_float32(built, name, precision, target):
    _, layers = built(name, precision, target)
    norms = [layer for layer in layers if "CastMeanSubMulMean" in layer.name]  # cast first, then the statistics
    assert len(norms) >= ATTENTIONS[name]
    assert not [
        layer.name for layer in layers if "Mean" in layer.name and "Sqrt" in layer.name and "Cast" not in layer.name
    ]


@pytest.mark.parametrize(("name", "precision", "target"), CASES)
def test_no_matrix_product_in_float32(built, name, precision, target):
    _, layers = built(name, precision, target)
    products = [layer for layer in layers if layer.matrix_product or layer.fused_attention]
    assert products
    assert [layer.name for layer in products if any(tensor.dtype == "Float" for tensor in layer.inputs)] == []


@pytest.mark.parametrize(("name", "target"), [(n, t) for n, p, t in CASES if p == "int8"])
def test_no_kernel_only_changes_types(built, name, target):
    """Quantising is always part of a kernel that computes something, but for the raw pixels."""
    _, layers = built(name, "int8", target)
    assert [layer.name for layer in layers if layer.changes_type_only] == []


def test_int8_halves_the_weights(built):
    def weights(precision):
        _, layers = built("b0", precision, "sm86")
        return sum(tensor.bytes for layer in layers if layer.matrix_product for tensor in layer.constants)

    assert weights("int8") < 0.6 * weights("fp16")


@pytest.mark.parametrize("name", ["b2-li", "untrained", "v1"])
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_others_fuse_too(built, name, precision):
    """B2-Li's pooled keys; biases of zeros, which TensorRT alone leaves in pieces; a class token."""
    _, layers = built(name, precision, "sm86")
    assert sum(layer.fused_attention for layer in layers) == ATTENTIONS[name]


def test_a_graph_without_query_groups_fuses_less(tmp_path, rtx):
    """The guard of the guard: the form for ONNX Runtime leaves the first stage's attention in pieces."""
    import onnx

    from pvt_edge.engines.engine import build_engine
    from pvt_edge.engines.layer_list import read_layers
    from pvt_edge.export.graph import DeployGraph
    from pvt_edge.export.onnx import export_onnx
    from pvt_edge.export.precision.half import to_half
    from pvt_edge.options.build import BuildOptions
    from pvt_edge.zoo import create_model

    export_onnx(DeployGraph(create_model("b0", "classify"), (224, 224)), tmp_path / "fp32.onnx")
    onnx.save(to_half(onnx.load(tmp_path / "fp32.onnx")), tmp_path / "fp16.onnx")
    layers = read_layers(build_engine(tmp_path / "fp16.onnx", rtx, BuildOptions(target=("sm86",))).messages)
    assert sum(layer.fused_attention for layer in layers) == 6
