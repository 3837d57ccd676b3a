"""Head maps -> candidate boxes, scores and labels, in plain tensor operations that export to any target."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.models.anchors import cell_anchors, level_anchors
from pvt_edge.models.box_coder import clip, decode
from pvt_edge.models.retinanet import HeadConfig


class Decode(nn.Module):
    """(class logits, box deltas) per level -> boxes (B, N, 4) xyxy pixels, scores (B, N), labels (B, N) int64.

    As in mmdet 3.3: the best `pre_nms` (anchor, class) pairs of each level by score, boxes decoded and
    clipped to the input. N = sum over levels of min(pre_nms, anchors * classes). No threshold and no NMS:
    those run on the host, so that every runtime agrees on them.
    """

    def __init__(self, config: HeadConfig, num_classes: int, imgsz: tuple[int, int]) -> None:
        super().__init__()
        self.num_classes, self.pre_nms, self.levels = num_classes, config.pre_nms, config.levels
        height, width = imgsz
        self.register_buffer("limit_xyxy", torch.tensor([width, height] * 2).float(), persistent=False)
        for i, stride in enumerate(config.strides):
            base = cell_anchors(config, i)
            map_hw = (-(-height // stride), -(-width // stride))
            self.register_buffer(f"anchors{i}", level_anchors(map_hw, stride, base).float(), persistent=False)

    def forward(self, logits: list[Tensor], deltas: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        limit_xyxy: Tensor = self.limit_xyxy  # type: ignore[assignment]
        boxes, scores, labels = [], [], []
        for i, (level_logits, level_deltas) in enumerate(zip(logits, deltas, strict=True)):
            batch = level_logits.shape[0]
            flat = level_logits.permute(0, 2, 3, 1).reshape(batch, -1)  # (B, H*W*A*K)
            candidates = level_deltas.permute(0, 2, 3, 1).reshape(batch, -1, 4)  # (B, H*W*A, 4)
            # sigmoid is monotone: the top logits are the top scores
            best, pair = flat.topk(min(self.pre_nms, flat.shape[1]))  # both (B, n)
            anchor = pair // self.num_classes
            picked = candidates.gather(1, anchor.unsqueeze(-1).expand(-1, -1, 4))  # (B, n, 4)
            anchors: Tensor = getattr(self, f"anchors{i}")
            boxes.append(clip(decode(picked, F.embedding(anchor, anchors)), limit_xyxy))
            scores.append(best.sigmoid())
            labels.append(pair - anchor * self.num_classes)
        return torch.cat(boxes, 1), torch.cat(scores, 1), torch.cat(labels, 1)
