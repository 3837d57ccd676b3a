"""Where quantisers stand, what grid they have, what the CPU plugin makes of them, and what comes out."""

import numpy as np
import openvino
import openvino.opset13 as op
import pytest
import torch
import torch.nn.functional as F

from pvt_edge.bundle.block_names import block_of
from pvt_edge.export.openvino import save_ir
from pvt_edge.export.precision.layers import find_blocks, find_layers, producer
from pvt_edge.export.precision.placement import QUANTISER, evaluate, place, quantise_weight
from pvt_edge.export.precision.recipes import RECIPES
from pvt_edge.runtimes import open_runtime
from pvt_edge.runtimes.openvino import openvino_core

from .network import BLOCK, BLOCKS, answers, compiled, runtime_layers, values_at

QKV = [f"{BLOCK}.attn.{name}" for name in "qkv"]
MLP = [f"{BLOCK}.mlp.{name}" for name in ("fc1", "dwconv", "fc2")]

needs_int8 = pytest.mark.skipif(
    "INT8" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"), reason="no INT8 on this CPU"
)


def quantisers(model) -> list:
    return [node for node in model.get_ops() if node.get_type_name() == "FakeQuantize"]


def is_quantised(value) -> bool:
    return producer(value).get_node().get_type_name() == "FakeQuantize"


def stored_weight(layer) -> tuple[np.ndarray, np.ndarray] | None:
    """(int8 values, scale) behind a layer's second input, None where it is a float constant."""
    node = layer.op.input_value(1).get_node()
    if node.get_type_name() != "Multiply":
        assert node.get_type_name() == "Constant"
        return None
    convert, scale = (value.get_node() for value in node.input_values())
    assert convert.get_type_name() == "Convert"
    values = np.array(convert.input_value(0).get_node().data)
    assert values.dtype == np.int8
    return values, np.array(scale.data)


def described(model) -> list[tuple[str, str]]:
    return [(node.get_friendly_name(), node.get_type_name()) for node in model.get_ordered_ops()]


# which blocks, how many tensors they read
PLACEMENTS = [([], 0), (["head"], 1), (QKV, 1), (MLP, 3), ([f"{BLOCK}.attn.products"], 4), (BLOCKS, 11)]


@pytest.mark.parametrize(("blocks", "tensors"), PLACEMENTS)
def test_only_chosen_blocks_have_quantisers(small, small_ranges, blocks, tensors):
    quantised = place(small, blocks, small_ranges)
    assert len(quantisers(quantised)) == tensors  # each tensor has one, whoever reads it
    for layer in find_layers(quantised):
        chosen = layer.block in blocks
        assert [is_quantised(layer.op.input_value(i)) for _, i in layer.inputs] == [chosen] * (2 - layer.weighted)
        if layer.weighted:
            assert (stored_weight(layer) is not None) == chosen


def test_the_float_model_is_left_as_it_was(small, small_ranges, scenes):
    before, wanted = described(small), answers(small, scenes[0])[0]
    place(small, BLOCKS, small_ranges)
    assert described(small) == before
    assert (answers(small, scenes[0])[0] == wanted).all()


def test_nothing_in_int8_is_the_float_model(small, small_ranges, scenes):
    assert (answers(place(small, [], small_ranges), scenes[0])[0] == answers(small, scenes[0])[0]).all()


def test_weights_are_stored_per_output_channel(tiny, tiny_ranges):
    floats = {layer.name: layer for layer in find_layers(tiny)}
    kinds = set()
    for layer in find_layers(place(tiny, find_blocks(tiny), tiny_ranges)):
        if not layer.weighted:
            continue
        values, scale = stored_weight(layer)
        wanted = evaluate(floats[layer.name].op.input_value(1))
        assert values.shape == wanted.shape
        kinds.add(kind := layer.op.get_type_name())
        channels = wanted.shape[0]
        if kind == "GroupConvolution":
            assert scale.shape == (channels, 1, 1, 1, 1)
        elif kind == "Convolution":
            assert scale.shape == (channels, 1, 1, 1)
        else:
            assert layer.op.get_attributes()["transpose_b"]
            assert scale.shape == (channels, 1)
        assert np.abs(values.reshape(channels, -1).astype(int)).max(axis=1).tolist() == [127] * channels
        assert (np.abs(values * scale - wanted) <= scale * 0.501).all()
    assert kinds == {"Convolution", "GroupConvolution", "MatMul"}


def test_a_weight_that_is_not_transposed_has_a_scale_per_column():
    weight = np.random.default_rng(0).uniform(-1, 1, (3, 4)).astype(np.float32) * np.float32([1, 2, 3, 4])
    x = op.parameter([1, 3], np.float32)
    product = op.matmul(x, op.constant(weight), False, False)
    product.set_friendly_name("head#0")
    [layer] = find_layers(place(openvino.Model([product], [x], "head"), ["head"], {"head#0:0": (-1.0, 1.0)}))
    values, scale = stored_weight(layer)
    assert scale.shape == (1, 4)
    assert np.abs(values.astype(int)).max(axis=0).tolist() == [127] * 4


def test_layers_that_read_one_tensor_share_its_quantiser(small, small_ranges):
    layers = {layer.name: layer.op for layer in find_layers(place(small, QKV, small_ranges))}
    values = [layers[f"{block}#0"].input_value(0) for block in QKV]
    assert values[0] == values[1] == values[2]
    assert values[0].get_node().get_friendly_name() == f"{QKV[0]}#0{QUANTISER}"


def test_a_float_layer_beside_an_int8_one_reads_floats(small, small_ranges):
    layers = {layer.name: layer.op for layer in find_layers(place(small, QKV[:1], small_ranges))}
    q, k = (layers[f"{block}#0"].input_value(0).get_node() for block in QKV[:2])
    assert (q.get_type_name(), k.get_friendly_name()) == ("FakeQuantize", "stages.0.patch_embed#0")
    readers = [target.get_node().get_type_name() for target in k.output(0).get_target_inputs()]
    assert sorted(readers) == ["Add", "Convolution", "Convolution", "FakeQuantize"]  # the residual stream is float


def test_quantisers_stand_before_what_only_moves(small, small_ranges):
    """Behind the convolution they fuse with it; behind the transposition they would not."""
    quantised = place(small, [f"{BLOCK}.attn.products"], small_ranges)
    sources = {node.input_value(0).get_node().get_friendly_name() for node in quantisers(quantised)}
    assert {f"{block}#0" for block in QKV} < sources
    product = next(layer.op for layer in find_layers(quantised) if layer.name.endswith("products#0"))
    assert [value.get_node().get_type_name() for value in product.input_values()] == ["Transpose", "Reshape"]


GRIDS = [  # range, ends of the grid
    ((0.0, 0.0), (0.0, 1e-8)),
    ((0.0, 2.0), (0.0, 2.0)),
    ((1.0, 2.0), (0.0, 2.0)),
    ((-1.0, 2.0), (-2 * 128 / 127, 2.0)),
    ((-3.0, 1.0), (-3 * 128 / 127, 3.0)),
    ((-2.0, -1.0), (-2 * 128 / 127, 2.0)),
    ((-1e-12, 0.0), (-1e-8 * 128 / 127, 1e-8)),
]


@pytest.mark.parametrize(("bounds", "ends"), GRIDS)
def test_grids(small, small_ranges, bounds, ends):
    [quantiser] = quantisers(place(small, ["head"], {**small_ranges, "head#0:0": bounds}))
    assert quantiser.get_attributes()["levels"] == 256
    inputs = [np.array(value.get_node().data).ravel() for value in quantiser.input_values()[1:]]
    assert [len(values) for values in inputs] == [1] * 4
    assert np.concatenate(inputs) == pytest.approx([*ends, *ends], rel=1e-6)


@pytest.mark.parametrize("bounds", [bounds for bounds, _ in GRIDS])
def test_zero_is_on_the_grid(small, small_ranges, bounds):
    [quantiser] = quantisers(place(small, ["head"], {**small_ranges, "head#0:0": bounds}))
    x = op.parameter([1, 3], np.float32)
    top = max(np.abs(bounds).max(), 1e-8)
    ends = [value.get_node() for value in quantiser.input_values()[1:]]
    model = openvino.Model([op.fake_quantize(x, *ends, 256)], [x], "grid")
    zero, above, far = compiled(model)(np.float32([[0, top * 0.75, 9 * top]]))[0][0]
    assert zero == 0
    assert above == pytest.approx(top * 0.75, abs=top / 250)
    assert far == pytest.approx(top)


def test_each_range_makes_its_grid(small, small_ranges):
    """From zero where nothing is below it: a product of softmax, a mean behind a ReLU."""
    found = {}
    for layer in find_layers(place(small, BLOCKS, small_ranges)):
        for key, index in layer.inputs:
            low, high = (producer(layer.op.input_value(index)).get_node().input_value(i).get_node() for i in (1, 2))
            found[key] = (float(np.array(low.data).ravel()[0]), float(np.array(high.data).ravel()[0]))
    assert set(found) == set(small_ranges)
    assert {key for key, (low, _) in found.items() if low == 0} == {f"{BLOCK}.attn.products#1:0", "head#0:0"}
    for key, (low, high) in found.items():
        assert high == pytest.approx(max(-small_ranges[key][0], small_ranges[key][1]))
        assert low in (0, pytest.approx(-high * 128 / 127))


WEIGHTS = [  # (2, 3) weight, axis, int8 values, scale
    ([[0, 0, 0], [0, 0, 0]], 0, [[0, 0, 0], [0, 0, 0]], [[1e-8 / 127]] * 2),
    ([[127, -127, 3], [0, 0, 0]], 0, [[127, -127, 3], [0, 0, 0]], [[1], [1e-8 / 127]]),
    ([[254, -2, 4], [-12.7, 0.1, 12.7]], 0, [[127, -1, 2], [-127, 1, 127]], [[2], [0.1]]),
    ([[127, 2, -1], [1, -254, 127]], 1, [[127, 1, -1], [1, -127, 127]], [[1, 2, 1]]),
    ([[-127, 0.6, 0.4], [-127, -0.6, 1.4]], 0, [[-127, 1, 0], [-127, -1, 1]], [[1], [1]]),
]


@pytest.mark.parametrize(("weight", "axis", "values", "scale"), WEIGHTS)
def test_quantise_weight(weight, axis, values, scale):
    found, scales = quantise_weight(np.array(weight, np.float32), axis)
    assert (found.dtype, scales.dtype) == (np.int8, np.float32)
    assert found.tolist() == values
    assert scales == pytest.approx(np.array(scale), rel=1e-6)


def test_weights_round_to_the_nearest():
    weight = np.random.default_rng(0).normal(0, 1, (7, 5, 3, 3)).astype(np.float32)
    values, scale = quantise_weight(weight, 0)
    assert (values.min(), values.max()) == (-127, 127)
    assert (np.abs(values * scale - weight) <= scale * 0.5 * (1 + 1e-4)).all()


def test_evaluate_folds_what_converts_and_reshapes():
    weight = np.random.default_rng(0).normal(0, 1, (2, 6)).astype(np.float16)
    constant = op.constant(weight)
    folded = op.transpose(op.reshape(op.convert(constant, np.float32), [3, 4], False), [1, 0])
    for node, wanted in ((constant, weight), (folded, weight.reshape(3, 4).T)):
        found = evaluate(node.output(0))
        assert found.dtype == np.float32
        assert (found == wanted.astype(np.float32)).all()


@needs_int8
@pytest.mark.parametrize("case", ["tiny", "detector"])
def test_convolutions_of_int8_blocks_run_in_int8(case, request, tmp_path):
    model, ranges = request.getfixturevalue(case), request.getfixturevalue(f"{case}_ranges")
    blocks = RECIPES[-1].blocks(find_blocks(model)) - {"stages.1.blocks.0.mlp.fc2", "stages.2.patch_embed"}
    save_ir(place(model, blocks, ranges), tmp_path / "int8.xml")
    with open_runtime("openvino", tmp_path / "int8.xml", threads=1) as runtime:
        assert runtime.precision == "int8"
        layers = [(block_of(name), precision) for name, kind, precision in runtime.layers() if kind == "Convolution"]
    assert len(layers) == sum("Convolution" in node.get_type_name() for node in model.get_ops())
    for block, precision in layers:
        assert (precision in ("i8", "u8")) == (block in blocks), block


@needs_int8
def test_an_mlp_passes_bytes_from_kernel_to_kernel(tiny, tiny_ranges):
    """The quantiser of each layer is the last step of the convolution before it, not a kernel of its own."""
    layers = runtime_layers(place(tiny, RECIPES[0].blocks(find_blocks(tiny)), tiny_ranges))
    for stage in range(4):
        fc1, dwconv, fc2 = (f"stages.{stage}.blocks.0.mlp.{name}#0" for name in ("fc1", "dwconv", "fc2"))
        for layer, reader in ((fc1, dwconv), (dwconv, fc2)):
            holders = [(kind, names) for kind, _, names in layers if f"{reader}{QUANTISER}" in names]
            assert len(holders) == 1, reader
            kind, names = holders[0]
            assert (kind, layer in names) == ("Convolution", True), reader


@needs_int8
def test_a_head_passes_bytes_from_kernel_to_kernel(detector, detector_ranges):
    layers = runtime_layers(place(detector, RECIPES[0].blocks(find_blocks(detector)), detector_ranges))
    for level in range(3):
        chains = [("neck.output", "head.cls.0")]  # what it writes is read by both towers
        chains += [(f"head.{kind}.0", f"head.{kind}.1") for kind in ("cls", "reg")]
        chains += [(f"head.{kind}.1", f"head.{kind}_out") for kind in ("cls", "reg")]
        for layer, reader in chains:
            name = f"{layer}.{level}#0" if layer == "neck.output" else f"{layer}#{level}"
            holders = [(kind, names) for kind, _, names in layers if f"{reader}#{level}{QUANTISER}" in names]
            assert [(kind, name in names) for kind, names in holders] == [("Convolution", True)], reader


def on_grid(values: np.ndarray, bounds: tuple[float, float]) -> tuple[np.ndarray, float]:
    """`values` in float64 on int8's grid of `bounds`, and its step."""
    low, high = bounds
    step = high / 255 if low >= 0 else max(-low, high) / 127
    bottom, top = (0, 255) if low >= 0 else (-128, 127)
    return np.clip(np.rint(values / step), bottom, top) * step, step


SINGLES = {  # block -> what it reads, how the float layer is told in torch
    "stages.0.patch_embed": lambda x, w: F.conv2d(x, w, stride=16, padding=3),
    f"{BLOCK}.attn.v": F.conv2d,
    f"{BLOCK}.mlp.fc1": F.conv2d,
    f"{BLOCK}.mlp.dwconv": lambda x, w: F.conv2d(x, w[:, 0], padding=1, groups=len(w)),
    f"{BLOCK}.mlp.fc2": F.conv2d,
    "head": lambda x, w: x @ w.T,
}


@pytest.mark.parametrize("block", SINGLES)
def test_one_layer_against_numpy(small, small_ranges, scenes, block):
    """The int8 layer is the float one on rounded inputs and weights, and as near to it as rounding allows."""
    layer = next(layer for layer in find_layers(small) if layer.block == block)
    source = layer.op.input_value(0).get_node().get_friendly_name()
    float_layer, x = values_at(small, [layer.name, source], scenes[0])
    [int8_layer] = values_at(place(small, [block], small_ranges), [layer.name], scenes[0])
    weight = evaluate(layer.op.input_value(1)).astype(np.float64)
    run = SINGLES[block]

    def calculate(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return run(torch.from_numpy(inputs.astype(np.float64)), torch.from_numpy(weights)).numpy()

    bias = float_layer - calculate(x, weight)
    values, scale = quantise_weight(weight, 0)
    rounded_x, step = on_grid(x, small_ranges[f"{layer.name}:0"])
    rounded_weight = values * scale.astype(np.float64)
    # an input midway between two steps may go either way
    one_step = step * np.abs(weight).max()
    assert np.abs(int8_layer - bias - calculate(rounded_x, rounded_weight)).max() < 1e-4 + one_step
    assert np.abs(int8_layer - bias - calculate(rounded_x, rounded_weight)).mean() < 1e-4 + 0.02 * one_step
    lost_x, lost_weight = np.abs(rounded_x - x), np.abs(rounded_weight - weight)
    allowed = calculate(lost_x, np.abs(weight)) + calculate(np.abs(rounded_x), lost_weight)
    assert (np.abs(int8_layer - float_layer) <= allowed + 1e-4 + one_step).all()
    assert np.abs(int8_layer - float_layer).max() > 1e-4  # it is rounded


def test_the_products_against_numpy(small, small_ranges, scenes):
    name = f"{BLOCK}.attn.products#0"
    layer = next(layer for layer in find_layers(small) if layer.name == name)
    queries, keys = (layer.op.input_value(i).get_node().get_friendly_name() for i in (0, 1))
    q, k = values_at(small, [queries, keys], scenes[0])
    [found] = values_at(place(small, [f"{BLOCK}.attn.products"], small_ranges), [name], scenes[0])
    rounded_q, step_q = on_grid(q.astype(np.float64), small_ranges[f"{name}:0"])
    rounded_k, step_k = on_grid(k.astype(np.float64), small_ranges[f"{name}:1"])
    gap = np.abs(found - rounded_q @ rounded_k)
    assert gap.max() < 1e-4 + step_q * np.abs(k).max() + step_k * np.abs(q).max()
    assert gap.mean() < 1e-3
    assert np.abs(found - q @ k).max() > 1e-3


def test_what_lies_beyond_the_range_is_clipped(small, small_ranges, scenes):
    narrow = {**small_ranges, "head#0:0": (0.0, 0.1)}
    head = next(layer.op for layer in find_layers(small) if layer.name == "head#0")
    weight = evaluate(head.input_value(1))
    source = head.input_value(0).get_node().get_friendly_name()
    logits, x = values_at(small, ["head#0", source], scenes[0])
    [found] = values_at(place(small, ["head"], narrow), ["head#0"], scenes[0])
    assert (x > 0.1).any()
    wanted = logits + (np.clip(x, 0, 0.1) - x) @ weight.T
    assert np.abs(found - wanted).max() < 0.01
    assert np.abs(logits - wanted).max() > 0.05
