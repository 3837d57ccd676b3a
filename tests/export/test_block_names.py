"""Names of the exported graphs' layers, which precision plans and reports are written in."""

import dataclasses
import re
from pathlib import Path

import pytest

from pvt_edge.bundle.block_names import block_of, name_layers
from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import OPSET, export_onnx
from pvt_edge.export.precision.half import to_half
from pvt_edge.training.rounding import block_names
from pvt_edge.variants import get_variant

from .made import build

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")

LAYERS = ("Conv", "Gemm", "MatMul")
PARTS = ("attn.q", "attn.k", "attn.v", "attn.proj", "mlp.fc1", "mlp.dwconv", "mlp.fc2")


def backbone_layers(depths: tuple[int, ...], reduces: tuple[bool, ...]) -> set[str]:
    """The names of a backbone's layers; `reduces` says which stages have a spatial reduction."""
    names = {f"stages.{i}.patch_embed#0" for i in range(len(depths))}
    for i, depth in enumerate(depths):
        for block in (f"stages.{i}.blocks.{j}" for j in range(depth)):
            names |= {f"{block}.{part}#0" for part in PARTS}
            names |= {f"{block}.attn.products#{n}" for n in (0, 1)}
            names |= {f"{block}.attn.sr#0"} if reduces[i] else set()
    return names


def detector_layers(levels: int, depth: int) -> set[str]:
    """The names of a neck's and a head's layers, three maps coming in."""
    blocks = [f"head.{branch}.{i}" for branch in ("cls", "reg") for i in range(depth)] + [
        "head.cls_out",
        "head.reg_out",
    ]
    names = {f"{block}#{level}" for block in blocks for level in range(levels)}
    return names | {f"neck.lateral.{i}#0" for i in range(3)} | {f"neck.output.{i}#0" for i in range(levels)}


REDUCES = (True, True, True, False)
B0 = backbone_layers((2, 2, 2, 2), REDUCES)
TINY = backbone_layers((1, 1, 1, 1), REDUCES)  # a stage's blocks differ in their number only
# task, variant, head, image, what the layers are called
CASES = {
    "classify": ("classify", "b0", "", (64, 64), B0 | {"head#0"}),
    "b2-li": ("features", "b2-li", "", (64, 96), backbone_layers((1, 1, 1, 1), (True,) * 4)),
    "retinanet": ("detect", "b0", "retinanet", (64, 64), TINY | detector_layers(5, 4)),
    "lite": ("detect", "b0", "lite", (64, 96), B0 | detector_layers(3, 2)),
}
EMBED_NORMS = {f"stages.{i}.embed_norm#0" for i in range(4)}  # of OpenVINO's form: their affine part


@pytest.fixture(scope="module")
def exported(classifier, lite, lite_onnx, lite_openvino, tmp_path_factory):
    """The ONNX model of a case, in either form, exported when first asked for."""
    made = {}

    def get(case: str, target: str = "onnxruntime") -> "onnx.ModelProto":
        key = (case, target)
        if key not in made:
            ready = {("lite", "openvino"): lite_openvino, ("lite", "onnxruntime"): lite_onnx}
            path = ready.get(key) or export(case, target)
            made[key] = onnx.shape_inference.infer_shapes(onnx.load(path))
        return made[key]

    def export(case: str, target: str) -> Path:
        task, variant, head, imgsz, _ = CASES[case]
        row = dataclasses.replace(get_variant(variant), depths=(1, 1, 1, 1))
        ready = {"classify": classifier, "lite": lite}
        model = ready.get(case) or build(task, row, head=head)
        path = tmp_path_factory.mktemp("named") / "model.onnx"
        export_onnx(DeployGraph(model, imgsz, target=target), path)
        return path

    return get


def layers(model: "onnx.ModelProto") -> dict[str, "onnx.NodeProto"]:
    """The named layers, each name once."""
    nodes = [node for node in model.graph.node if node.op_type in LAYERS and "#" in node.name]
    assert len({node.name for node in nodes}) == len(nodes)
    return {node.name: node for node in nodes}


def shape(model: "onnx.ModelProto", tensor: str) -> list[int]:
    (value,) = [value for value in model.graph.value_info if value.name == tensor]
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("case", CASES)
def test_what_layers_are_called(exported, case, target):
    assert set(layers(exported(case, target))) == CASES[case][-1]


OTHER_NODE = re.compile(r"(stages\.\d(\.blocks\.\d+)?|neck|head|decode|input|output)[\w.]*/[A-Z][A-Za-z]+(_\d+)?")


@pytest.mark.parametrize(("case", "target"), [("classify", "onnxruntime"), ("lite", "tensorrt"), ("b2-li", "openvino")])
def test_every_other_node_is_called_after_its_module(exported, case, target):
    names = [node.name for node in exported(case, target).graph.node]
    assert len(set(names)) == len(names)
    assert [name for name in names if "#" not in name and not OTHER_NODE.fullmatch(name)] == []
    assert "input/Sub" in names
    if target != "openvino":  # whose attention and norms are other operators
        assert {"stages.0.blocks.0.attn/Softmax", "stages.3.norm.norm/LayerNormalization"} <= set(names)
        assert set(names) <= {node.name for node in to_half(exported(case, target)).graph.node}


@pytest.mark.parametrize("case", CASES)
def test_training_calls_blocks_the_same(case):
    task, variant, head, _, names = CASES[case]
    model = build(task, dataclasses.replace(get_variant(variant), depths=(1, 1, 1, 1)), head=head)
    blocks = {block_of(name) for name in names if not re.search(r"blocks\.1\.", name)}
    blocks -= {"stages.0.blocks.0.attn.sr"} if variant == "b0" else set()  # which OpenVINO cannot run in INT8
    assert set(block_names(model)) == blocks


@pytest.mark.parametrize("case", ["classify", "b2-li", "lite"])
def test_openvinos_form_has_the_same_layers(exported, case):
    assert set(layers(exported(case, "openvino"))) == CASES[case][-1] | EMBED_NORMS


@pytest.mark.parametrize("case", CASES)
def test_every_layer_with_weights_has_a_name(exported, case):
    model = exported(case)
    weights = {weight.name for weight in model.graph.initializer}
    weighted = [node for node in model.graph.node if node.op_type in LAYERS and weights.intersection(node.input[1:2])]
    assert len(weighted) > 30
    assert [node.name for node in weighted if "#" not in node.name] == []


def test_products_belong_to_their_block(exported):
    """Stage by stage, attention has as many heads as the variant says, at the stage's own size."""
    model = exported("classify")
    named = layers(model)
    order = list(named)
    for stage, heads in enumerate(get_variant("b0").heads):
        side = 16 >> stage
        keys = 4  # each stage reduces to the last one's 2x2
        for block in (f"stages.{stage}.blocks.{i}.attn" for i in range(2)):
            scores, mixed = (f"{block}.products#{n}" for n in (0, 1))
            assert shape(model, named[scores].output[0]) == [1, heads, side * side, keys]
            assert shape(model, named[mixed].output[0])[:3] == [1, heads, side * side]
            places = [order.index(name) for name in (f"{block}.q#0", scores, mixed, f"{block}.proj#0")]
            assert places == sorted(places)


@pytest.mark.parametrize("tower", ["head.cls.0", "head.reg.1", "head.cls_out", "head.reg_out"])
def test_the_number_of_a_heads_layer_is_its_level(exported, tower):
    model = exported("lite")
    named = layers(model)
    for level in range(3):
        (inner,) = named[f"{tower}#{level}"].input[:1]
        assert shape(model, inner)[2:] == [8 >> level, 12 >> level]


@pytest.mark.parametrize(
    ("operation", "block"),
    [
        ("head.cls.0#2", "head.cls.0"),
        ("head#0", "head"),
        ("stages.0.blocks.1.attn.products#1", "stages.0.blocks.1.attn.products"),
        ("head.cls_out#1/WithoutBiases", "head.cls_out"),
        ("neck.lateral.0#0/quantiser", "neck.lateral.0"),
        ("node_add_3", "node_add_3"),
    ],
)
def test_block_of_an_operation(operation, block):
    assert block_of(operation) == block


def test_other_nodes_keep_their_names():
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("MatMul", ["images", "images"], ["a"], "a product before any attention"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("MatMul", ["b", "model.head.weight"], ["out"], "linear"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in ("images", "out")]
    weight = helper.make_tensor("model.head.weight", TensorProto.FLOAT, [2, 2], [1.0] * 4)
    graph = helper.make_graph(nodes, "three", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    name_layers(model)
    assert [node.name for node in model.graph.node] == ["a product before any attention", "relu", "head#0"]
