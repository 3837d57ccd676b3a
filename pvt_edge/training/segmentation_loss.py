"""The loss of segmenters: cross-entropy with weighted classes, and Dice; pixels of no class count for nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pvt_edge.class_map import VOID
from pvt_edge.models.segment_heads import resize_to

WEIGHTS = (0.7, 1.4)  # of a pixel by how rare its class is: the further apart, the more specks of rare classes


def segmentation_loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(cross-entropy, 1 - Dice), scalars, of logits (B, K, h, w) grown to the size of `targets`.

    `targets` (B, H, W) int64 are ids of classes, 255 for none. A class of which a batch has fewer pixels than of others
    weighs more, by the square root and up to 2 to 1. Dice is the mean over the classes that the batch has. With K = 1,
    ids are 0 and 1, and the logit is that of 1.
    """
    grown = resize_to(logits.float(), (targets.shape[1], targets.shape[2]))
    labelled = targets != VOID
    ids = targets[labelled]  # (N,)
    if len(ids) == 0:
        return grown.sum() * 0, grown.sum() * 0
    rows = grown.permute(0, 2, 3, 1)[labelled]  # (N, K)
    if rows.shape[1] == 1:
        rows = torch.cat((torch.zeros_like(rows), rows), dim=1)  # whose softmax is the sigmoid of the one
    counts = ids.bincount(minlength=rows.shape[1]).float()  # (K,)
    shares = rows.softmax(dim=1)
    common = torch.zeros_like(counts).index_add(0, ids, shares.gather(1, ids[:, None])[:, 0])
    dice = 2 * common / (shares.sum(dim=0) + counts)
    return F.cross_entropy(rows, ids, class_weights(counts)), 1 - dice[counts > 0].mean()


def class_weights(counts: Tensor) -> Tensor:
    """The weight (K,) of a pixel of each class, where there are `counts` (K,) of them; 1 for the usual count."""
    usual = counts[counts > 0].mean()
    return (usual / counts.clamp(min=1)).sqrt().clamp(*WEIGHTS)


def imitation_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """How far the shares of classes lie from a teacher's, both of logits (B, K, h, w): Kullback-Leibler, a pixel."""
    if logits.shape[1] == 1:
        logits, taught = (torch.cat((torch.zeros_like(x), x), dim=1) for x in (logits, taught))
    found, wanted = (x.float().log_softmax(dim=1) for x in (logits, taught))
    return F.kl_div(found, wanted, log_target=True, reduction="none").sum(dim=1).mean()
