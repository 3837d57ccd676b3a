"""RetinaNet's anchors in mmdet's geometry and order, deltas from them, and head maps -> candidate boxes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.models.retinanet import HeadConfig

MAX_LOG_RATIO = abs(math.log(16 / 1000))  # 4.1351666: dw and dh are clamped to +- this


def cell_anchors(config: HeadConfig, level: int) -> Tensor:
    """Anchors of one cell of a level, xyxy around the cell's corner (0, 0) in pixels: (A, 4), ratio-major, scale-minor.

    A ratio is height / width. Float, not rounded (mmdet AnchorGenerator).
    """
    base_size = config.base_sizes[level] if config.base_sizes else config.strides[level]
    middle, boxes = config.center_offset * base_size, []
    for ratio in config.ratios:
        for scale in config.anchor_scales:
            w, h = base_size * scale / ratio**0.5, base_size * scale * ratio**0.5
            boxes.append((middle - w / 2, middle - h / 2, middle + w / 2, middle + h / 2))
    return torch.tensor(boxes, dtype=torch.float64)


def level_anchors(map_hw: tuple[int, int], stride: int, base: Tensor) -> Tensor:
    """Anchors of a whole level: (H*W*A, 4) xyxy in pixels, cells row-major.

    Cells lie at (x*stride, y*stride), where their anchors' middles are too unless `base` has an offset.
    """
    h, w = map_hw
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    shift = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4) * stride  # (H*W, 1, 4)
    return (shift + base).reshape(-1, 4)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes xyxy (..., N, 4) in pixels from deltas (..., N, 4) and anchors xyxy (..., N, 4); not clipped."""
    size = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2
    new_centre = centre + deltas[..., :2] * size
    new_size = size * deltas[..., 2:].clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    return torch.cat((new_centre - new_size / 2, new_centre + new_size / 2), dim=-1)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Deltas (N, 4) that `decode` turns back into `boxes` xyxy (N, 4); boxes must have positive size."""
    size = anchors[:, 2:] - anchors[:, :2]
    centre_shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return torch.cat((centre_shift / size, ((boxes[:, 2:] - boxes[:, :2]) / size).log()), dim=-1)


def clip(boxes: Tensor, limit_xyxy: Tensor) -> Tensor:
    """Boxes xyxy (..., 4) with every coordinate in [0, limit], `limit_xyxy` (W, H, W, H)."""
    return torch.minimum(boxes.clamp(min=0), limit_xyxy)


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
