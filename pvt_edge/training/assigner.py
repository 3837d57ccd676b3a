"""Which anchor learns which box: task-aligned assignment (TOOD, arXiv 2108.07755 §3.2)."""

import torch
from torch import Tensor

TOP_K = 13  # anchors a box teaches
SCORE_POWER, IOU_POWER = 1.0, 6.0


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU (n, m) of boxes xyxy `a` (n, 4) and `b` (m, 4)."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(dim=-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(dim=1), (b[:, 2:] - b[:, :2]).prod(dim=1)
    return inter / (area_a[:, None] + area_b[None] - inter).clamp(min=1e-6)


def assign(
    scores: Tensor, boxes: Tensor, centres: Tensor, truth_boxes: Tensor, truth_labels: Tensor
) -> tuple[Tensor, Tensor]:
    """For one image, the truth of each of N anchors and the score it should reach.

    Args: predicted `scores` (N, K) in 0..1, predicted `boxes` (N, 4), anchor `centres` (N, 2), `truth_boxes`
    (n, 4), `truth_labels` (n,). Returns the index of the assigned truth (N,), -1 for background, and the target
    score (N,) in 0..1, which is the IoU-scaled alignment, so that scores rank boxes by their quality.
    """
    anchors = len(centres)
    if len(truth_boxes) == 0:
        return torch.full((anchors,), -1, device=centres.device), torch.zeros(anchors, device=centres.device)
    inside = (centres[None] > truth_boxes[:, None, :2]) & (centres[None] < truth_boxes[:, None, 2:])
    iou = pairwise_iou(truth_boxes, boxes)  # (n, N)
    metric = scores[:, truth_labels].T.pow(SCORE_POWER) * iou.pow(IOU_POWER) * inside.all(dim=-1)  # (n, N)
    best = metric.topk(min(TOP_K, anchors), dim=1)
    chosen = torch.zeros_like(metric, dtype=torch.bool).scatter_(1, best.indices, best.values > 1e-9)
    owner_iou, owner = (iou * chosen).max(dim=0)  # an anchor that several boxes chose goes to the nearest
    truth = torch.where(owner_iou > 0, owner, -1)
    own = chosen & (owner[None] == torch.arange(len(truth_boxes), device=owner.device)[:, None])  # (n, N)
    metric, iou = metric * own, iou * own
    scaled = metric / metric.amax(dim=1, keepdim=True).clamp(min=1e-9) * iou.amax(dim=1, keepdim=True)
    return truth, scaled.amax(dim=0)
