"""The layers that INT8 may run in: each found once, in order, by the exporter's names."""

import numpy as np
import openvino
import openvino.opset13 as op
import pytest

from pvt_edge.export.precision.layers import MOVES, find_blocks, find_layers, is_constant, producer

from .network import BLOCK, BLOCKS

ATTENTION = ("attn.q", "attn.k", "attn.products", "attn.v", "attn.proj")
MLP = ("mlp.fc1", "mlp.dwconv", "mlp.fc2")
NECK_AND_HEAD = {
    *(f"neck.{kind}.{level}" for kind in ("lateral", "output") for level in range(3)),
    *(f"head.{kind}.{i}" for kind in ("cls", "reg") for i in range(2)),
    "head.cls_out",
    "head.reg_out",
}


def backbone(depth: int, reductions: tuple[int, ...]) -> set[str]:
    """The blocks of a backbone of `depth` blocks a stage, with spatial reduction in some stages."""
    names = {f"stages.{stage}.patch_embed" for stage in range(4)}
    for stage in range(4):
        kinds = (*ATTENTION, *MLP, *(["attn.sr"] if stage in reductions else []))
        names |= {f"stages.{stage}.blocks.{block}.{kind}" for block in range(depth) for kind in kinds}
    return names


REDUCTIONS = (1, 2)  # the first stage's is one that OpenVINO miscounts, the last has none
CASES = {
    "detector": backbone(2, REDUCTIONS) | NECK_AND_HEAD,
    "tiny": backbone(1, REDUCTIONS) | {"head"},
    "pooled": backbone(1, (0, 1, 2, 3)),
    "small": set(BLOCKS),
}


def convolution(channels: int = 4, kernel: tuple[int, int] = (1, 1), name: str = "head.cls.0#0") -> openvino.Node:
    x = op.parameter([1, channels, *(side + 1 for side in kernel)], np.float32)
    node = op.convolution(x, np.ones((4, channels, *kernel), np.float32), [1, 1], [0, 0], [0, 0], [1, 1])
    node.set_friendly_name(name)
    return node


def around(node: openvino.Node) -> openvino.Model:
    """The model that ends in `node`."""
    found, todo = [], [node]
    while todo:
        ahead = todo.pop()
        found += [ahead] if ahead.get_type_name() == "Parameter" else []
        todo += [value.get_node() for value in ahead.input_values()]
    return openvino.Model([node], found, "around")


@pytest.mark.parametrize("case", CASES)
def test_every_block_is_found_once(case, request):
    found = find_blocks(request.getfixturevalue(case))
    assert len(found) == len(set(found))
    assert set(found) == CASES[case]


@pytest.mark.parametrize("case", CASES)
def test_layers_of_each_block(case, request):
    """Attention has two products, the head's blocks run at three levels."""
    names = [layer.name for layer in find_layers(request.getfixturevalue(case))]
    counts = {block: 2 if block.endswith("products") else 1 for block in CASES[case]}
    counts |= {block: 3 for block in counts if block.startswith("head.")}
    assert sorted(names) == sorted(f"{block}#{i}" for block, count in counts.items() for i in range(count))


@pytest.mark.parametrize("case", CASES)
def test_blocks_are_in_execution_order(case, request):
    place = {block: i for i, block in enumerate(find_blocks(request.getfixturevalue(case)))}
    for stem in {name.partition(".attn")[0] for name in place if ".attn.q" in name}:
        inside = [f"{stem}.{kind}" for kind in ("attn.q", "attn.products", "attn.proj", *MLP)]
        embed = f"{stem.partition('.blocks')[0]}.patch_embed"
        order = [place[name] for name in (embed, *inside)]
        assert order == sorted(order), stem
        assert place[f"{stem}.attn.sr" if f"{stem}.attn.sr" in place else embed] < place[f"{stem}.attn.k"]
    embeds = [place[f"stages.{stage}.patch_embed"] for stage in range(4) if f"stages.{stage}.patch_embed" in place]
    assert embeds == sorted(embeds)


def test_no_norm_is_a_layer(tiny):
    """Centred norms of patch embeds are convolutions with names of the exporter's."""
    convolutions = [node.get_friendly_name() for node in tiny.get_ops() if node.get_type_name() == "Convolution"]
    assert sum(".embed_norm#0" in name for name in convolutions) == 4
    assert not [layer.name for layer in find_layers(tiny) if "embed_norm" in layer.name]


def test_a_layer_of_no_block_is_none():
    assert find_blocks(around(op.relu(op.parameter([1], np.float32)))) == []
    assert find_blocks(around(convolution(name="Convolution_17"))) == []
    assert find_blocks(around(convolution(name="head.cls.0#2/WithoutBiases"))) == ["head.cls.0"]


MISCOUNTED = [  # input channels, kernel, whether INT8 may run in it
    (32, (8, 8), False),
    (32, (4, 4), False),
    (32, (2, 2), True),
    (32, (3, 3), True),
    (64, (8, 8), True),
    (3, (7, 7), True),  # pixels
]


@pytest.mark.parametrize(("channels", "kernel", "allowed"), MISCOUNTED)
def test_convolutions_that_openvino_miscounts_are_none(channels, kernel, allowed):
    assert bool(find_layers(around(convolution(channels, kernel)))) == allowed


def test_the_first_reduction_of_b0_is_float(tiny):
    """Its weight is 32x32x8x8, and INT8's sums of it are wrong on AMX."""
    names = {node.get_friendly_name() for node in tiny.get_ops()}
    assert "stages.0.blocks.0.attn.sr#0" in names
    assert not [name for name in find_blocks(tiny) if name.startswith("stages.0") and name.endswith("attn.sr")]


def test_what_a_layer_reads(small):
    layers = {layer.name: layer for layer in find_layers(small)}
    products = [f"{BLOCK}.attn.products#{i}" for i in range(2)]
    assert [name for name, layer in layers.items() if not layer.weighted] == products
    assert list(layers["head#0"].inputs) == [("head#0:0", 0)]
    assert list(layers[products[1]].inputs) == [(f"{products[1]}:0", 0), (f"{products[1]}:1", 1)]
    assert layers[products[1]].block == f"{BLOCK}.attn.products"


def test_the_producer_lies_behind_all_moves():
    node = convolution()
    moved = op.reshape(node, [1, 4, 4], False)
    moved = op.unsqueeze(op.transpose(moved, [0, 2, 1]), op.constant([0]))
    moved = op.squeeze(moved, op.constant([0]))
    assert {n.get_type_name() for n in (moved, moved.input_value(0).get_node())} <= set(MOVES)
    assert producer(moved.output(0)) == node.output(0)
    assert producer(node.output(0)) == node.output(0)
    scaled = op.multiply(moved, np.float32(2))
    assert producer(op.reshape(scaled, [16], False).output(0)) == scaled.output(0)


def test_the_producer_of_attentions_inputs(tiny):
    layers = {layer.name: layer.op for layer in find_layers(tiny)}
    for stage in range(4):
        stem = f"stages.{stage}.blocks.0.attn"
        first, second = layers[f"{stem}.products#0"], layers[f"{stem}.products#1"]
        values = (first.input_value(0), first.input_value(1), second.input_value(1))
        assert [producer(value).get_node().get_friendly_name() for value in values] == [
            f"{stem}.{name}#0" for name in "qkv"
        ]
        assert producer(second.input_value(0)).get_node().get_type_name() == "Softmax"


def test_what_a_weight_is():
    weight = op.constant(np.ones((2, 2), np.float16))
    assert is_constant(weight)
    assert is_constant(op.reshape(op.convert(weight, np.float32), [4], False))
    assert not is_constant(op.parameter([2], np.float32))
    assert not is_constant(op.multiply(op.convert(weight, np.float32), op.parameter([2, 2], np.float32)))
