"""The parity check: what it passes, and that planted faults do not pass."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from pvt_edge.errors import ExportError
from pvt_edge.export.agreement import check_parity
from pvt_edge.export.graph import DeployGraph
from pvt_edge.runtimes import TensorSpec
from pvt_edge.runtimes.torch import TorchRuntime

from .made import reference_outputs

IMAGES = [np.full((1, 2, 2, 3), value, np.uint8) for value in (0, 1)]


class Answers:
    """A runtime that gives `tables[i]` for IMAGES[i], repeated to its batch."""

    name, precision = "planted", "fp32"

    def __init__(self, tables: list[dict[str, np.ndarray]], batch: int = 1) -> None:
        self.tables = tables
        self.inputs = (TensorSpec("images", "uint8", (batch, 2, 2, 3)),)

    def infer(self, feeds):
        images = feeds["images"]
        assert len(images) in (self.inputs[0].shape[0], 1)
        table = self.tables[int(images[0, 0, 0, 0])]
        return {name: np.repeat(array, len(images), axis=0) for name, array in table.items()}


def candidates(count: int = 200) -> list[dict[str, np.ndarray]]:
    """For each image `count` candidates far apart, best first, a tenth of them above a score of 0.05."""
    tables = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        corner = np.stack(np.meshgrid(np.arange(20), np.arange(count // 20)), axis=-1).reshape(-1, 2) * 30.0
        scores = np.concatenate((np.linspace(0.95, 0.1, count // 10), np.linspace(0.04, 0.001, count - count // 10)))
        boxes = np.concatenate((corner, corner + rng.uniform(10, 20, corner.shape)), axis=1)
        labels = rng.integers(0, 3, count)
        columns = {"boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32), "labels": labels}
        tables.append({name: column[None] for name, column in columns.items()})
    return tables


def check(found: list[dict[str, np.ndarray]], wanted: list[dict[str, np.ndarray]], batch: int = 1):
    return check_parity(
        Answers(found, batch), "images", IMAGES, wanted, "detect" if "boxes" in wanted[0] else "classify"
    )


def refusal(found, wanted) -> str:
    with pytest.raises(ExportError, match=r"^planted fp32 does not give the model's answers: ") as caught:
        check(found, wanted)
    return str(caught.value)


def with_fault(name: str, row: int, change) -> list[dict[str, np.ndarray]]:
    """Candidates whose second image has one changed value."""
    tables = candidates()
    tables[1][name][0, row] = change(tables[1][name][0, row])
    return tables


@pytest.mark.parametrize("batch", [1, 3, -1])
def test_equal_candidates(batch):
    parity = check(candidates(), candidates(), batch)
    assert parity.within
    assert parity.text == "boxes within 0 px, scores within 0.0e+00"


def test_rounding_is_told():
    found = candidates()
    found[1]["boxes"][0, 3, 2] += 0.25
    found[0]["scores"][0, 5] += 0.001
    assert check(found, candidates()).text == "boxes within 0.25 px, scores within 1.0e-03"


def test_order_does_not_matter():
    found = candidates()
    for seed, table in enumerate(found):
        order = np.random.default_rng(seed).permutation(200)
        for name in table:
            table[name] = table[name][:, order]
    assert check(found, candidates()).text == "boxes within 0 px, scores within 0.0e+00"


FAULTS = {
    "a box shifted by 2 px": ("boxes", 3, lambda box: box + 2),
    "a side shifted by 2 px": ("boxes", 3, lambda box: box + np.array([0, 0, 0, 2])),
    "another label": ("labels", 3, lambda label: (label + 1) % 3),
    "a score off by 0.01": ("scores", 3, lambda score: score + 0.01),
    "a score off by -0.01": ("scores", 0, lambda score: score - 0.01),
    "a box that is no number": ("boxes", 3, lambda box: box * np.nan),
    "a score that is no number": ("scores", 3, lambda score: np.nan),
    "a box without end": ("boxes", 3, lambda box: box + np.inf),
    "an unsure box that is no number": ("boxes", 150, lambda box: box * np.nan),
    "an unsure box that became a sure one": ("scores", 150, lambda score: 0.9),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_wrong_candidate(fault):
    assert refusal(with_fault(*FAULTS[fault]), candidates())


def test_a_few_unsure_candidates_at_the_edge_of_the_top_k_may_differ():
    found = candidates()
    for table in found:  # 2 of 200
        table["boxes"][0, -2:] += 500
    assert check(found, candidates())
    for table in found:
        table["boxes"][0, -6:-2] += 500
    assert "24 of 800 candidates have no match, 0 of them sure" in refusal(found, candidates())


def logits() -> list[dict[str, np.ndarray]]:
    return [{"logits": np.random.default_rng(i).normal(size=(1, 10)).astype(np.float32)} for i in (0, 1)]


@pytest.mark.parametrize("batch", [1, 3, -1])
def test_equal_tensors(batch):
    assert check(logits(), logits(), batch).text == "largest difference 0.0e+00 of the largest value"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("image", [0, 1])
def test_tensors_that_are_no_numbers(value, image):
    found = logits()
    found[image]["logits"][0, 4] = value
    assert refusal(found, logits())


@pytest.mark.parametrize(("error", "within"), [(0.5e-4, True), (2e-4, False), (-2e-4, False)])
def test_tensors_off_by_a_share_of_the_largest(error, within):
    found = logits()
    found[1]["logits"][0, 4] += error * np.abs(found[1]["logits"]).max()
    if within:
        assert check(found, logits())
    else:
        assert "largest difference 2.0e-04" in refusal(found, logits())


class Named(nn.Module):
    """A graph's outputs by name."""

    def __init__(self, graph: DeployGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(self.graph.output_names, self.graph(images), strict=True))


def opened(graph: DeployGraph) -> TorchRuntime:
    return TorchRuntime(Named(graph).eval(), (TensorSpec("images", "uint8", (1, *graph.imgsz, 3)),))


@pytest.mark.parametrize("layer", ["attn.q", "attn.proj"])
def test_a_transposed_weight(layer, classifier, scenes):
    graph = DeployGraph(classifier, (64, 96))
    expected = reference_outputs(graph, scenes)
    assert expected[0]["logits"].shape == (1, 10)
    assert check_parity(opened(graph), "images", scenes, expected, "classify")
    wrong = copy.deepcopy(graph)
    weight = wrong.model.backbone.stages[1].blocks[1].get_submodule(layer).weight
    weight.copy_(weight.transpose(0, 1).clone())
    with pytest.raises(ExportError, match="torch fp32 does not give the model's answers: largest difference"):
        check_parity(opened(wrong), "images", scenes, expected, "classify")


def test_a_detector_with_one_bias_lost(lite_graph, scenes):
    expected = reference_outputs(lite_graph, scenes)
    assert check_parity(opened(lite_graph), "images", scenes, expected, "detect")
    wrong = copy.deepcopy(lite_graph)
    wrong.model.head.reg_out.bias.zero_()
    with pytest.raises(ExportError, match="candidates have no match"):
        check_parity(opened(wrong), "images", scenes, expected, "detect")
