"""RetinaNet anchors in mmdet's geometry and order."""

import torch
from torch import Tensor

from pvt_edge.models.retinanet import HeadConfig


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
