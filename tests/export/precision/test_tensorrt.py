"""INT8 for TensorRT inside a budget: recorded placements first, then blocks raised to float by what they lose."""

import pytest

from pvt_edge.export.graph import DeployGraph
from pvt_edge.export.onnx import export_onnx
from pvt_edge.export.precision import sensitivity
from pvt_edge.export.precision.tensorrt import TensorRtGraphs
from pvt_edge.scenes import draw_scene
from pvt_edge.zoo import create_model

from ..made import randomise
from .test_search import DistanceJudge


@pytest.fixture(scope="module")
def graphs_within(tmp_path_factory):
    """The graphs of a classifier of 64x64 under a budget of its distance from float32."""
    path = tmp_path_factory.mktemp("tensorrt") / "fp32.onnx"
    model = create_model("b0", num_classes=10)
    randomise(model)
    export_onnx(DeployGraph(model, (64, 64), target="tensorrt"), path)
    pictures = tuple(draw_scene(800 + i, 64, 64).image[None] for i in range(2))
    judge = DistanceJudge(pictures, "classify", None, "two scenes")
    return lambda budget: TensorRtGraphs(path, judge, pictures, pictures="scenes", budget=budget)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(sensitivity, "PICTURES", 1)


def quiet(text):
    return None


def test_as_few_blocks_are_raised_as_hold_the_budget(graphs_within):
    everything = graphs_within(None).int8(None, quiet)[1]
    budget = 0.7 * everything.trial.drop
    graphs = graphs_within(budget)
    trials, placed = graphs.int8(None, quiet, search=True)
    assert trials[0].int8_blocks == len(everything.blocks) and not trials[0].within_budget
    assert {row.block for row in graphs.sensitivities} == everything.blocks
    assert placed.blocks < everything.blocks
    assert placed.trial.drop <= budget
    left_float = everything.blocks - placed.blocks
    order = [row.block for row in sorted(graphs.sensitivities, key=sensitivity.most_sensitive_first)]
    assert left_float == set(order[: len(left_float)])
    searched = [t for t in trials if "raised" in t.words]
    one_less = [t for t in searched if t.int8_blocks == len(placed.blocks) + 1]
    assert len(left_float) == 1 or not one_less[0].within_budget
    assert placed.trial.int8_blocks > min(t.int8_blocks for t in searched)


def test_without_a_search_only_recorded_placements_are_tried(graphs_within):
    graphs = graphs_within(-1.0)
    trials, placed = graphs.int8(None, quiet)
    assert placed is None
    assert [trial.name for trial in trials] == ["int8", "int8 mlp+sr", "int8 mlp"]
    assert graphs.sensitivities == []


def test_a_plan_is_tried_alone(graphs_within):
    trials, placed = graphs_within(-1.0).int8(["stages.0.blocks.0.mlp.fc1"], quiet, search=True)
    assert (len(trials), trials[0].int8_blocks, placed) == (1, 1, None)
