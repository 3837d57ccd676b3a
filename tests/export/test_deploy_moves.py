"""Each move in each deploy form against the training form that makes the same move, in float64."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from pvt_edge.export.deploy.block import DeployBlock
from pvt_edge.export.deploy.form import DeployBackbone, to_deploy_form
from pvt_edge.export.graph import DeployGraph
from pvt_edge.models.pvt_v2 import Block
from pvt_edge.models.table import apply_moves
from pvt_edge.moves import BlockMoves, Moves, read_moves
from pvt_edge.variants import get_variant

from .made import build, build_around, noise, outputs, pictures, randomise
from .test_deploy_form import BLOCKS, EXACT, SIZES, on_tokens

MOVES = {
    "keys": {"attn": {"pool_keys": 2}},
    "keys 3": {"attn": {"pool_keys": 3}},  # divides few maps
    "queries": {"attn": {"pool_queries": 2}},
    "queries 3": {"attn": {"pool_queries": 3}},
    "mlp": {"mlp": {"pool": 2}},
    "mlp 3": {"mlp": {"pool": 3}},
    "all": {"attn": {"pool_keys": 2, "pool_queries": 4}, "mlp": {"pool": 3}},
    "no attention": {"attn": {"leave_out": True}},
    "no mlp": {"mlp": {"leave_out": True}},
    "nothing": {"attn": {"leave_out": True}, "mlp": {"leave_out": True}},
}
TARGETS = ("onnxruntime", "openvino", "tensorrt", "onnxruntime-int8")  # plain, centred, on tokens, on rows
RICH = {  # every move, windows that divide their maps and that do not
    "stages.0": {"pool_keys": 2, "pool_queries": 2, "pool": 2},
    "stages.1": {"pool_queries": 3, "pool": 3},
    "stages.2.blocks.0.attn": {"leave_out": True},
    "stages.3": {"pool_keys": 2},
    "stages.3.blocks.0.mlp": {"leave_out": True},
}


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("moves", MOVES)
@torch.inference_mode()
def test_a_block(kind, moves):
    block, map_hw = randomise(Block(*BLOCKS[kind], drop_path=0.1).double()).eval(), (40, 24)
    for name, given in MOVES[moves].items():
        getattr(block, name).moves = BlockMoves.model_validate(given)
    x = noise(1, map_hw[0] * map_hw[1], BLOCKS[kind][0])
    wanted = block(x, *map_hw)
    assert (on_tokens(DeployBlock(block, map_hw), x, map_hw) - wanted).abs().max() < EXACT
    for name in MOVES[moves]:
        getattr(block, name).moves = BlockMoves()
    assert (block(x, *map_hw) - wanted).abs().max() > 0.01  # the move is one


def small(task: str, variant: str, head: str = "lite") -> nn.Module:
    """A model of one block a stage in float64, for blocks differ in their weights only."""
    row = dataclasses.replace(get_variant(variant), depths=(1, 1, 1, 1))
    return build_around(build("features", row).double(), task, head=head)


def gap(model: nn.Module, images: torch.Tensor) -> float:
    """max |training form - deploy form| over all outputs and forms, with the moves that `model` makes."""
    gaps = []
    with torch.inference_mode():
        wanted = outputs(model(images))
        for target in TARGETS:
            deploy = to_deploy_form(model, tuple(images.shape[2:]))
            (deploy if isinstance(deploy, DeployBackbone) else deploy.backbone).shape_for(target)
            pairs = list(zip(outputs(deploy(images)), wanted, strict=True))
            assert all(a.shape == b.shape and b.dtype == torch.float64 and b.std() > 0.05 for a, b in pairs)
            gaps += [(a - b).abs().max().item() for a, b in pairs]
    return max(gaps)


@pytest.mark.parametrize("variant", ["b0", "b2-li"])
def test_every_task(variant):
    for task, head in (("classify", ""), ("detect", "retinanet"), ("detect", "lite")):
        model = small(task, variant, head)
        apply_moves(model, read_moves(RICH))
        assert gap(model, noise(2, 3, 128, 192)) < EXACT, (task, head)


@pytest.mark.parametrize("variant", ["b0", "b2-li"])
@pytest.mark.parametrize("imgsz", SIZES)
def test_sizes(variant, imgsz):
    assert gap(apply_moves(small("features", variant), read_moves(RICH)), noise(1, 3, *imgsz)) < EXACT


@pytest.mark.parametrize("side", [3, 4, 5])
def test_tokens_of_an_odd_number(side):
    # 16x16 becomes 6x6, 4x4 and 4x4; keys of 1 head in groups only where they come out even
    moves = read_moves({"stages.0": {"pool_queries": side}, "stages.3": {"pool_queries": 2}})
    model = apply_moves(small("features", "b0"), moves)
    assert gap(model, noise(1, 3, 64, 64)) < EXACT
    apply_moves(model, read_moves({"stages.0": {"pool_queries": 16}}))  # one query in all
    assert gap(model, noise(1, 3, 64, 64)) < EXACT


def test_the_moves_are_the_models_own_and_stay():
    moves = read_moves({"stages.0": {"pool": 2}})
    model = apply_moves(small("features", "b0"), moves)
    exact = to_deploy_form(apply_moves(copy.deepcopy(model), Moves()), (64, 64))
    pooled = to_deploy_form(model, (64, 64))
    images = noise(1, 3, 64, 64)
    assert not torch.allclose(exact(images)[0], pooled(images)[0])
    assert model.stages[0].blocks[0].mlp.moves == BlockMoves(pool=2)


@pytest.mark.parametrize("target", TARGETS[1:])
def test_the_whole_graph_in_onnx_runtime(target, tmp_path):
    import onnx

    from pvt_edge.export.onnx import export_onnx
    from pvt_edge.export.precision.half import to_half
    from pvt_edge.runtimes import open_runtime

    model = apply_moves(small("classify", "b0").float(), read_moves(RICH))
    graph = DeployGraph(model, (128, 192), target=target)
    export_onnx(graph, tmp_path / "model.onnx", dynamic_batch=True)
    to_half(onnx.load(tmp_path / "model.onnx"))  # is checked there
    images = pictures(2, 128, 192)
    with torch.inference_mode(), open_runtime("onnxruntime", tmp_path / "model.onnx") as runtime:
        for batch in (images[0], torch.cat([torch.from_numpy(image) for image in images]).numpy()):
            wanted = dict(zip(graph.output_names, graph(torch.from_numpy(batch)), strict=True))
            for name, value in runtime.infer({"images": batch}).items():
                assert abs(value - wanted[name].numpy()).max() < 1e-4 * wanted[name].abs().max(), name
