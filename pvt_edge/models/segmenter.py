"""Segmenter: backbone, a head that gives every fourth pixel of both sides a class, and logits -> the class map."""

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from pvt_edge.models.model import Backbone, Model, initialise_layers
from pvt_edge.models.segment_heads import (
    KINDS,
    ConvNorm,
    LiteHead,
    SegmentHeadConfig,
    SemanticFPN,
    get_segment_head,
    resize_to,
)

if TYPE_CHECKING:
    from pvt_edge.checkpoints.trained_head import TrainedHead

IDS_IN_A_BYTE = 256
_OWN = re.compile(r"head\.(classes|lateral|smooth|output|scale|ppm|bottleneck|fuse)\.")
# a tensor that only this kind of head has -> the kind; its rows are the head's width
_MARKERS = {
    "head.fuse.conv.weight": "upernet",
    "head.scale.0.0.conv.weight": "fpn",
    "head.smooth.1.conv.weight": "lite",
}


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


class Segmenter(Model):
    """Images (B, 3, H, W), RGB normalised -> logits (B, num_classes, H/4, W/4).

    Of one class alone its logit says how likely a pixel is of it; the rest is background.
    """

    task = "segment"
    default_classes = 150  # ADE20K
    default_head = "lite"
    class_layer = "head.classes"
    resizes_like_classifier = False
    kinds: ClassVar = {
        "head lateral": r"head\.lateral\.\d+(\.conv)?",
        "head pooling": r"head\.ppm\.\d+(\.conv)?",
        "head tower": r"head\.(smooth|output|scale|bottleneck|fuse)(\.\d+)*(\.conv)?",
        "head output": r"head\.classes",
    }
    config: SegmentHeadConfig

    def __init__(self, backbone: Backbone, num_classes: int, head: SegmentHeadConfig) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.config = head
        self.backbone = backbone
        self.head = KINDS[head.kind](backbone.variant.dims, head.width, num_classes)
        backbone.initialise()
        initialise_layers(self.head)

    @classmethod
    def build(cls, backbone: Backbone, num_classes: int, head: Any) -> "Segmenter":
        return cls(backbone, num_classes, get_segment_head(head))

    @classmethod
    def owns(cls, name: str) -> bool:
        return _OWN.match(name) is not None

    @classmethod
    def count_classes(cls, tensors: Mapping[str, Tensor]) -> int | None:
        layer = tensors.get("head.classes.weight")
        return None if layer is None else layer.shape[0] if layer.ndim else 0

    @classmethod
    def head_in(cls, tensors: Mapping[str, Tensor], name: Any, trained: "TrainedHead") -> SegmentHeadConfig:
        """The head called `name`, else that of the file; in the file's width unless the name says one."""
        own = cls._head_of(tensors)
        if name is None or name == own.kind:
            return own
        return get_segment_head(name)

    @classmethod
    def _head_of(cls, tensors: Mapping[str, Tensor]) -> SegmentHeadConfig:
        for marker, kind in _MARKERS.items():
            if marker in tensors and tensors[marker].ndim:
                return SegmentHeadConfig(kind, tensors[marker].shape[0])
        return get_segment_head("linear" if "head.classes.weight" in tensors else cls.default_head)

    def last_norm(self) -> tuple[nn.LayerNorm, nn.Module] | None:
        norm = self.backbone.final_norm()
        if norm is None or not isinstance(self.head, LiteHead | SemanticFPN):  # else padding or dropout is between
            return None
        last = self.head.lateral[-1]
        return norm, last.conv if isinstance(last, ConvNorm) else last

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits
