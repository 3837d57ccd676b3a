"""Logits of a segmenter -> the class map, at the input's size."""

import math

import torch
from torch import Tensor, nn

from pvt_edge.models.segment_heads import resize_to

IDS_IN_A_BYTE = 256


class SegmentDecode(nn.Module):
    """Logits (B, K, H/4, W/4) -> mask (B, H, W), and with `keep_logits` the logits behind it.

    As mmseg has it: logits are resized to the input's size by half-pixel bilinear interpolation, and each pixel takes
    the class of the largest, in uint8 or beyond 256 classes in int32. Of one class a pixel is 1 where the sigmoid of
    its logit is above `threshold` (0 to 1), else 0.
    """

    def __init__(
        self, num_classes: int, imgsz: tuple[int, int], threshold: float, *, keep_logits: bool = False
    ) -> None:
        super().__init__()
        self.num_classes, self.imgsz, self.threshold, self.keep_logits = num_classes, imgsz, threshold, keep_logits

    def forward(self, logits: Tensor) -> tuple[Tensor, ...]:
        mask = self.class_map(resize_to(logits, self.imgsz))
        return (mask, logits) if self.keep_logits else (mask,)

    def class_map(self, grown: Tensor) -> Tensor:
        """Logits (B, K, H, W) -> ids (B, H, W)."""
        if self.num_classes == 1:
            return (grown[:, 0].sigmoid() > self.threshold).to(torch.uint8)
        return self.to_ids(grown.argmax(dim=1))

    def to_ids(self, numbers: Tensor) -> Tensor:
        """Numbers of classes in the type of the mask."""
        return numbers.to(torch.uint8 if self.num_classes <= IDS_IN_A_BYTE else torch.int32)


class LogitDecode(SegmentDecode):
    """The same without a sigmoid: the threshold is one of logits."""

    def class_map(self, grown: Tensor) -> Tensor:
        if self.num_classes > 1:
            return super().class_map(grown)
        # OpenVINO drops a cast of booleans, and the output's name and type with it; TensorRT chooses among no bytes
        return torch.where(grown[:, 0] > _logit(self.threshold), 1.0, 0.0).to(torch.uint8)


def _logit(share: float) -> float:
    """The logit whose sigmoid is `share`."""
    if not 0 < share < 1:
        return math.inf if share >= 1 else -math.inf
    return math.log(share / (1 - share))
