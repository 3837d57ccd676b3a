"""Which anchor learns which box, and what that costs."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from pvt_edge.training.detection_loss import (  # noqa: E402  # noqa: E402
    BOX_WEIGHT,
    assign,
    detection_loss,
    giou,
    imitation_loss,
    pairwise_iou,
    quality_focal,
)

SQUARES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [20, 20, 30, 30], [0, 0, 0, 0]])


def test_pairwise_iou():
    iou = pairwise_iou(SQUARES, SQUARES[:3])
    expected = [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert iou.numpy() == pytest.approx(np.array(expected, np.float32), abs=1e-6)
    assert pairwise_iou(SQUARES[:0], SQUARES).shape == (0, 4)


def test_no_truth_is_all_background():
    truth, target = assign(
        torch.full((3, 2), 0.5), SQUARES[:3], torch.zeros(3, 2), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    )
    assert truth.tolist() == [-1, -1, -1]
    assert target.tolist() == [0, 0, 0]


@pytest.mark.parametrize("count", [0, 2])
def test_all_is_on_the_device_of_what_is_given(count):
    """On "meta", which is as unlike the CPU as a GPU is and here without one."""
    given = (torch.rand(40, size, device="meta") for size in (3, 4, 2))
    truths = torch.rand(count, 4, device="meta"), torch.zeros(count, dtype=torch.long, device="meta")
    truth, target = assign(*given, *truths)
    assert truth.is_meta and target.is_meta


def test_anchors_inside_a_box_learn_it_by_their_alignment():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 10], [0, 0, 10, 10]])
    centres = torch.tensor([[5.0, 5], [5, 4], [15, 5], [10, 5]])  # the last two outside, one of them on the edge
    scores = torch.tensor([[0.8, 0.1], [0.4, 0.9], [0.9, 0.9], [0.9, 0.9]])
    truth, target = assign(scores, boxes, centres, torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0]))
    assert truth.tolist() == [0, 0, -1, -1]
    # metrics 0.8 * 1**6 and 0.4 * 0.5**6, scaled so that the best is the best IoU, 1
    assert target.tolist() == pytest.approx([1, 0.5 * 0.5**6, 0, 0], abs=1e-6)


def test_an_anchor_of_two_boxes_goes_to_the_nearest():
    boxes, centres = torch.tensor([[0.0, 0, 10, 12]]), torch.tensor([[5.0, 5]])
    truths = torch.tensor([[0.0, 0, 10, 20], [0, 0, 10, 10]])
    truth, target = assign(torch.tensor([[0.5, 0.5]]), boxes, centres, truths, torch.tensor([0, 1]))
    assert truth.tolist() == [1]
    assert target.tolist() == pytest.approx([10 / 12])


def test_at_most_13_anchors_learn_a_box():
    count = 40
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(count, 1)
    scores = torch.linspace(0.1, 0.9, count)[:, None]
    centres = torch.full((count, 2), 5.0)
    truth, _ = assign(scores, boxes, centres, torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0]))
    assert truth.tolist() == [-1] * 27 + [0] * 13


# --- losses


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 1, 1), (2, 0, 3, 1), -1 / 3),  # apart: union 2, hull 3
        ((0, 0, 1, 1), (1, 0, 2, 1), 0),  # side by side
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7 - 2 / 9),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 16),  # inside
        ((0, 0, 1, 1), (99, 99, 100, 100), -(10000 - 2) / 10000),
    ],
)
def test_giou(a, b, expected):
    first, second = torch.tensor([a]).double(), torch.tensor([b]).double()
    assert giou(first, second).tolist() == pytest.approx([expected], abs=1e-9)
    assert giou(second, first).tolist() == pytest.approx([expected], abs=1e-9)


def test_giou_of_nothing():
    assert giou(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


def test_quality_focal():
    targets = torch.tensor([0.01, 0.3, 0.9])
    at_target = targets.logit().requires_grad_()
    loss = quality_focal(at_target, targets)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-9)
    assert at_target.grad.abs().max() < 1e-6
    # sigmoid(0) = 0.5: 0.5**2 * -log(0.5), with target 0 as with target 1
    assert quality_focal(torch.zeros(2), torch.tensor([0.0, 1.0])).item() == pytest.approx(2 * 0.25 * np.log(2))
    assert quality_focal(torch.tensor([3.0]), torch.tensor([0.0])) > quality_focal(torch.zeros(1), torch.zeros(1))


def test_detection_loss_by_hand():
    # one level of 1x1, one anchor that is the truth, two classes, logits 0
    anchors = torch.tensor([[-16.0, -16, 16, 16]])
    truth = [(anchors.clone(), torch.tensor([1]))]
    logits, deltas = [torch.zeros(1, 2, 1, 1)], [torch.zeros(1, 4, 1, 1)]
    class_loss, box_loss = detection_loss(logits, deltas, anchors, truth, 2)
    assert class_loss.item() == pytest.approx(2 * 0.25 * np.log(2))  # targets 0 and 1, both half way
    assert box_loss.item() == pytest.approx(0, abs=1e-6)
    wide = [torch.tensor([0.0, 0, np.log(2), 0]).view(1, 4, 1, 1)]  # twice as wide: IoU 1/2, the hull is the box
    class_loss, box_loss = detection_loss(logits, wide, anchors, truth, 2)
    assert box_loss.item() == pytest.approx(BOX_WEIGHT * 0.5 * 0.5)
    assert class_loss.item() == pytest.approx(0.25 * np.log(2))  # target 0.5 of class 1 is reached


def test_detection_loss_without_any_truth():
    logits = [torch.zeros(2, 2, 1, 1, requires_grad=True)]
    none = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    class_loss, box_loss = detection_loss(logits, [torch.zeros(2, 4, 1, 1)], torch.zeros(1, 4), [none, none], 2)
    assert class_loss.item() == pytest.approx(4 * 0.25 * np.log(2))
    assert box_loss.item() == 0


# --- imitation


def maps_of(seed: int, spread: float = 1.0) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """A head's maps (logits, deltas) of two levels, a batch of 2, 3 classes, one anchor a cell."""
    generator = torch.Generator().manual_seed(seed)

    def level(channels: int, side: int) -> torch.Tensor:
        return torch.randn((2, channels, side, side), generator=generator) * spread

    return [level(3, 4), level(3, 2)], [level(4, 4) * 0.1, level(4, 2) * 0.1]


GRID = torch.tensor([[16.0 * x, 16.0 * y, 16.0 * x + 32, 16.0 * y + 32] for y in range(4) for x in range(4)])
ANCHORS = torch.cat((GRID, GRID[:4] * 2))


def test_imitation_is_free_for_the_same_answers_and_costs_for_others():
    same = imitation_loss(maps_of(1), maps_of(1), ANCHORS, 3)
    assert [part.item() for part in same] == pytest.approx([0, 0], abs=1e-6)
    classes, boxes = imitation_loss((maps_of(2)[0], maps_of(1)[1]), maps_of(1), ANCHORS, 3)
    assert classes.item() > 0.01
    assert boxes.item() == pytest.approx(0, abs=1e-6)
    classes, boxes = imitation_loss((maps_of(1)[0], maps_of(2)[1]), maps_of(1), ANCHORS, 3)
    assert classes.item() == pytest.approx(0, abs=1e-6)
    assert boxes.item() > 0.01


def test_boxes_of_nothing_are_not_imitated():
    """Where the teacher gives no class a twentieth, its boxes say nothing."""
    teacher = ([torch.full_like(x, -6.0) for x in maps_of(1)[0]], maps_of(1)[1])
    _, boxes = imitation_loss((teacher[0], maps_of(2)[1]), teacher, ANCHORS, 3)
    assert boxes.item() == 0
