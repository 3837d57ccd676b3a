"""INT8 simulated in training against the INT8 that is placed in exported graphs."""

import copy
import re

import numpy as np
import pytest
import torch

from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.checkpoints.preprocessing import normalise
from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.export.precision.placement import place
from pvt_edge.training.rounding import DeployedConv2d, simulate_int8

from .network import answers


def inputs(scenes) -> list[torch.Tensor]:
    return [normalise(torch.from_numpy(scene), NormaliseSpec()) for scene in scenes]


# keys with values, as one layer gives both; the first patch embed reads pixels of another scale in the graph
KINDS = {
    "query": r"attn\.q$",
    "keys and values": r"attn\.[kv]$",
    "products": r"products$",
    "output": r"attn\.proj$",
    "reduction": r"attn\.sr$",
    "mlp in": r"fc1$",
    "depthwise": r"dwconv$",
    "mlp out": r"fc2$",
    "patch embed": r"[123]\.patch_embed$",
    "class layer": r"^head$",
    "most": r"[123]\.patch_embed$|sr$|fc|dwconv|stages\.[23].*attn\.[qkv]$|^head$",
}


@pytest.fixture(scope="module")
def exact(dynamic, scenes):
    return np.concatenate([answers(dynamic, scene)[0] for scene in scenes])


@pytest.mark.parametrize("kind", KINDS)
def test_it_errs_as_the_placed_graph_does(dynamic, tiny_classifier, dynamic_ranges, scenes, exact, kind):
    """What the simulation does not tell of INT8's error is a tie that was rounded the other way here and there."""
    blocks = [block for block in find_blocks(dynamic) if re.search(KINDS[kind], block)]
    graph = place(dynamic, blocks, dynamic_ranges)
    placed = np.concatenate([answers(graph, scene)[0] for scene in scenes])
    model = simulate_int8(copy.deepcopy(tiny_classifier).eval(), blocks, inputs(scenes))
    with torch.inference_mode():
        found = np.concatenate([model(picture).numpy() for picture in inputs(scenes)])
    error = np.abs(placed - exact).mean()
    assert error > 1e-4
    assert np.abs(found - placed).mean() < 0.4 * error


def test_levels_that_share_a_layer_have_grids_of_their_own(detector, detector_ranges, lite, scenes):
    model = simulate_int8(copy.deepcopy(lite).eval(), find_blocks(detector), inputs(scenes))
    for block, layer in (("head.cls.1", model.head.cls[1].conv), ("head.reg_out", model.head.reg_out)):
        assert isinstance(layer, DeployedConv2d)
        ranges = [detector_ranges[f"{block}#{level}:0"] for level in range(3)]
        assert len({high for _, high in ranges}) == 3
        assert [grid.step * grid.highest for grid in layer.rounding.grids] == pytest.approx(
            [max(-low, high) for low, high in ranges], rel=1e-3
        )
