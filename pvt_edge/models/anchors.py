"""RetinaNet anchors in mmdet's geometry and order."""

import torch
from torch import Tensor

OCTAVE_BASE_SCALE = 4  # the smallest anchor's side is 4 strides


def base_anchors(stride: int, scales_per_octave: int, ratios: tuple[float, ...]) -> Tensor:
    """Anchors of one cell, xyxy around (0, 0) in pixels: (A, 4), ratio-major, scale-minor.

    A ratio is height / width. Float, not rounded (mmdet AnchorGenerator).
    """
    boxes = []
    for ratio in ratios:
        for i in range(scales_per_octave):
            side = stride * OCTAVE_BASE_SCALE * 2.0 ** (i / scales_per_octave)
            w, h = side / ratio**0.5, side * ratio**0.5
            boxes.append((-w / 2, -h / 2, w / 2, h / 2))
    return torch.tensor(boxes, dtype=torch.float64)


def level_anchors(map_hw: tuple[int, int], stride: int, base: Tensor) -> Tensor:
    """Anchors of a whole level: (H*W*A, 4) xyxy in pixels, cells row-major.

    Cell centres lie at (x*stride, y*stride): mmdet's center_offset 0, not the half-stride of others.
    """
    h, w = map_hw
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    shift = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4) * stride  # (H*W, 1, 4)
    return (shift + base).reshape(-1, 4)
