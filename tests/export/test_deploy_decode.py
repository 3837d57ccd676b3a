"""The decoder in deploy form against the plain one: the same candidates, and valid ones where scores are equal."""

import dataclasses
from collections import Counter

import pytest
import torch

from pvt_edge.export.deploy.detector import WORTH_GROUPING, DeployDecode
from pvt_edge.models.anchors import Decode
from pvt_edge.models.retinanet import HEADS, HeadConfig

from .made import noise

FEW = HeadConfig(width=8, depth=1, pre_nms=20)  # fewer than the classes of one anchor
LITE, RETINANET = HEADS["lite"], HEADS["retinanet"]
# head, classes, image, levels that are searched by the best class of each anchor
CASES = {
    "lite": (LITE, 3, (64, 96), 0),
    "lite, one class": (LITE, 1, (160, 160), 0),
    "lite, many classes": (LITE, 20, (160, 192), 1),  # 480 anchors, 120, 30
    "retinanet": (RETINANET, 80, (128, 160), 1),  # 2880 anchors, 720, 180, 54, 18
    "retinanet, below grouping": (RETINANET, WORTH_GROUPING - 1, (128, 128), 0),
    "retinanet, just grouped": (RETINANET, WORTH_GROUPING, (128, 128), 1),
    "few of many classes": (FEW, 80, (64, 96), 3),  # 864 anchors, 216, 54, 18, 9
}


def maps(config: HeadConfig, classes: int, imgsz: tuple[int, int], batch: int = 2) -> tuple[list, list]:
    """Random logits (B, A*K, H, W) and deltas (B, A*4, H, W) of every level, in float64."""
    sizes = [(-(-imgsz[0] // stride), -(-imgsz[1] // stride)) for stride in config.strides]
    anchors = config.anchors_per_cell
    logits = [3 * noise(batch, anchors * classes, *size, seed=i) for i, size in enumerate(sizes)]
    deltas = [0.1 * noise(batch, anchors * 4, *size, seed=10 + i) for i, size in enumerate(sizes)]
    return logits, deltas


def rows(found: tuple[torch.Tensor, ...], image: int) -> list[tuple[float, ...]]:
    """(x0, y0, x1, y1, score, label) of every candidate of one image, rounded."""
    boxes, scores, labels = (tensor[image] for tensor in found)
    columns = torch.cat((boxes, scores[:, None], labels[:, None].double()), dim=1)
    return [tuple(round(value, 9) for value in row) for row in columns.tolist()]


def grouped_levels(config: HeadConfig, classes: int, logits: list[torch.Tensor]) -> int:
    anchors = [level[0].numel() // classes for level in logits]
    return sum(classes >= WORTH_GROUPING and count > min(config.pre_nms, count * classes) for count in anchors)


@pytest.mark.parametrize("case", CASES)
def test_equals_the_plain_decoder(case):
    config, classes, imgsz, grouped = CASES[case]
    plain = Decode(config, classes, imgsz).double()
    logits, deltas = maps(config, classes, imgsz)
    assert grouped_levels(config, classes, logits) == grouped
    wanted, found = plain(logits, deltas), DeployDecode(plain)(logits, deltas)
    assert [t.shape for t in found] == [t.shape for t in wanted]
    assert [t.dtype for t in found] == [torch.float64, torch.float64, torch.int64]
    for image in range(2):
        assert Counter(rows(found, image)) == Counter(rows(wanted, image))
    assert rows(found, 0) != rows(found, 1)
    assert len(found[2].unique()) >= classes / 2


def test_several_classes_of_one_anchor():
    # the best n pairs may all be of one anchor: it brings all its classes, not its best alone
    plain = Decode(FEW, 80, (64, 64)).double()
    logits, deltas = maps(FEW, 80, (64, 64), batch=1)
    best = 5 * 80 + 3  # anchor 5 of a cell, class 3
    logits[0][0, best : best + 30, 2, 4] = torch.arange(30).double() + 50
    boxes, scores, labels = (tensor[0, :20] for tensor in DeployDecode(plain)(logits, deltas))
    assert labels.tolist() == list(range(32, 12, -1))
    assert scores.tolist() == torch.arange(79, 59, -1).double().sigmoid().tolist()
    assert (boxes == boxes[0]).all()
    assert Counter(rows(DeployDecode(plain)(logits, deltas), 0)) == Counter(rows(plain(logits, deltas), 0))


@pytest.mark.parametrize("case", ["lite", "retinanet", "few of many classes"])
def test_equal_scores_give_valid_candidates(case):
    """Whichever of equals are taken, each is a pair of an anchor and a class of its level, and none is taken twice."""
    config, classes, imgsz, _ = CASES[case]
    logits, deltas = maps(config, classes, imgsz)
    logits = [torch.full_like(level, 0.5) for level in logits]
    deployed = DeployDecode(Decode(config, classes, imgsz).double())
    found = deployed(logits, deltas)
    assert (found[1] == torch.tensor(0.5).double().sigmoid()).all()
    sizes = [level[0].numel() for level in logits]
    whole = Decode(dataclasses.replace(config, pre_nms=max(sizes)), classes, imgsz).double()(logits, deltas)
    start = 0
    for i, pairs in enumerate(sizes):
        kept = min(config.pre_nms, pairs)
        level = tuple(tensor[:, sum(sizes[:i]) :][:, :pairs] for tensor in whole)
        for image in range(2):
            everything = Counter(rows(level, image))
            taken = Counter(rows(tuple(tensor[:, start : start + kept] for tensor in found), image))
            assert taken.total() == kept
            assert not taken - everything
        start += kept
    assert start == found[1].shape[1]
