"""Detection losses, and which anchor learns which box: task-aligned assignment (TOOD, arXiv 2108.07755 §3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pvt_edge.models.anchors import decode

TOP_K = 13  # anchors a box teaches
SCORE_POWER, IOU_POWER = 1.0, 6.0
BOX_WEIGHT = 2.0
LEAST_TAUGHT = 0.05  # of a teacher's score: boxes below it are of nothing


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


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU (n,) in -1..1 of boxes xyxy `a` (n, 4) with `b` (n, 4), row by row (arXiv 1902.09630)."""
    inter = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - inter
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    return inter / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def quality_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of binary cross-entropies with targets in 0..1, each weighted by the squared error (arXiv 2006.04388)."""
    error = (targets - logits.detach().sigmoid()).abs()
    return (F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * error.square()).sum()


def detection_loss(
    logits: list[Tensor], deltas: list[Tensor], anchors: Tensor, truths: list[tuple[Tensor, Tensor]], num_classes: int
) -> tuple[Tensor, Tensor]:
    """Class and box loss of a batch.

    Args: the head's maps by level, `anchors` (N, 4) of all levels, and for each image its truth: boxes (n, 4) and
    labels (n,).
    """
    flat_logits, flat_deltas = _flat(logits, num_classes), _flat(deltas, 4)
    boxes = decode(flat_deltas, anchors)  # (B, N, 4)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2

    targets = torch.zeros_like(flat_logits)
    predicted, wanted, weights = [], [], []
    for i, (truth_boxes, truth_labels) in enumerate(truths):
        with torch.no_grad():
            truth, score = assign(flat_logits[i].sigmoid(), boxes[i], centres, truth_boxes, truth_labels)
        hit = (truth >= 0).nonzero().squeeze(1)
        targets[i, hit, truth_labels[truth[hit]]] = score[hit]
        predicted.append(boxes[i, hit])
        wanted.append(truth_boxes[truth[hit]])
        weights.append(score[hit])
    weight = torch.cat(weights)
    scale = weight.sum().clamp(min=1.0)
    box_loss = ((1 - giou(torch.cat(predicted), torch.cat(wanted))) * weight).sum()
    return quality_focal(flat_logits, targets) / scale, BOX_WEIGHT * box_loss / scale


def imitation_loss(
    found: tuple[list[Tensor], list[Tensor]],
    taught: tuple[list[Tensor], list[Tensor]],
    anchors: Tensor,
    num_classes: int,
) -> tuple[Tensor, Tensor]:
    """Class and box loss of a batch of the head's maps, (logits, deltas) by level, against a teacher's.

    Boxes count by the score that the teacher gives them, down to a twentieth.
    """
    logits, deltas = (_flat(maps, size) for maps, size in zip(found, (num_classes, 4), strict=True))
    want_logits, want_deltas = (_flat(maps, size) for maps, size in zip(taught, (num_classes, 4), strict=True))
    scores = want_logits.sigmoid()
    weight = scores.amax(dim=-1)  # (B, N)
    kept = weight > LEAST_TAUGHT
    scale = weight[kept].sum().clamp(min=1.0)
    boxes, want_boxes = (decode(flat, anchors)[kept] for flat in (deltas, want_deltas))
    box_loss = ((1 - giou(boxes, want_boxes)) * weight[kept]).sum()
    return quality_focal(logits, scores) / scale, BOX_WEIGHT * box_loss / scale


def _flat(maps: list[Tensor], size: int) -> Tensor:
    """The maps of all levels (B, A*size, H, W) as rows (B, N, size) in float32."""
    return torch.cat([x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, size) for x in maps], 1).float()
