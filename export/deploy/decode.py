"""The detector's decoder in deploy form: the same candidates, found with less work."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.models.box_coder import clip, decode
from pvt_edge.models.decode import Decode

WORTH_GROUPING = 8  # classes; below, one top-k over all pairs is as fast


class DeployDecode(nn.Module):
    """As `Decode`: equal candidates, though equal scores may change places.

    The best n pairs lie in the n anchors of the best maxima, so the wide top-k runs over anchors only; what is
    picked at every level is decoded together, once.
    """

    def __init__(self, plain: Decode) -> None:
        super().__init__()
        self.num_classes, self.pre_nms = plain.num_classes, plain.pre_nms
        levels = [getattr(plain, f"anchors{i}") for i in range(plain.levels)]
        self.starts = [sum(len(anchors) for anchors in levels[:i]) for i in range(len(levels))]
        self.register_buffer("anchors", torch.cat(levels))
        limit_xyxy: Tensor = plain.limit_xyxy  # type: ignore[assignment]
        self.register_buffer("limit_xyxy", limit_xyxy)

    def forward(self, logits: list[Tensor], deltas: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        anchors: Tensor = self.anchors  # type: ignore[assignment]
        limit_xyxy: Tensor = self.limit_xyxy  # type: ignore[assignment]
        picks = [self._pick(level.permute(0, 2, 3, 1)) for level in logits]
        best, label = torch.cat([p[0] for p in picks], 1), torch.cat([p[2] for p in picks], 1)
        anchor = torch.cat([p[1] + start for p, start in zip(picks, self.starts, strict=True)], 1)  # (B, N)
        candidates = torch.cat([d.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)) for d in deltas], 1)
        picked = candidates.gather(1, anchor.unsqueeze(-1).expand(-1, -1, 4))  # (B, N, 4)
        return clip(decode(picked, F.embedding(anchor, anchors)), limit_xyxy), best.sigmoid(), label

    def _pick(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best logits (B, n) of a level (B, H, W, A*K), the anchor of each within the level, and its class."""
        classes = self.num_classes
        per_anchor = logits.flatten(1).unflatten(1, (-1, classes))  # (B, H*W*A, K)
        kept = min(self.pre_nms, per_anchor.shape[1] * classes)
        if classes < WORTH_GROUPING or per_anchor.shape[1] <= kept:
            best, pair = per_anchor.flatten(1).topk(kept)
            anchor = pair // classes
            return best, anchor, pair - anchor * classes
        group = per_anchor.amax(2).topk(kept).indices  # (B, n)
        best, pair = per_anchor.gather(1, group.unsqueeze(-1).expand(-1, -1, classes)).flatten(1).topk(kept)
        row = pair // classes
        return best, group.gather(1, row), pair - row * classes
