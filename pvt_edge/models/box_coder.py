"""Box deltas <-> boxes: mmdet's DeltaXYWHBBoxCoder with means 0 and stds 1."""

import math

import torch
from torch import Tensor

MAX_LOG_RATIO = abs(math.log(16 / 1000))  # 4.1351666: dw and dh are clamped to +- this


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
