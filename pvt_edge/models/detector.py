"""Detector: backbone, FPN and RetinaNet head."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.models.model import Backbone, Model, initialise_layers
from pvt_edge.models.retinanet import HEADS, HeadConfig, RetinaHead, get_head

if TYPE_CHECKING:
    from pvt_edge.checkpoints.trained_head import TrainedHead

_OWN = re.compile(r"neck\.(lateral|output)\.|head\.(cls|reg)[._]")
_TOWER = re.compile(r"head\.cls\.(\d+)\.conv\.weight")
_PYRAMID = re.compile(r"neck\.output\.\d+\.weight")


class FPN(nn.Module):
    """Backbone maps C2..C5 -> `levels` maps of `width` channels at strides 8, 16, 32, (64, 128).

    C2 is unused. P3..P5 are 3x3 convolutions of the top-down sums; P6 is a stride-2 3x3 of the raw C5 and
    P7 one of P6 with no ReLU between (mmdet's relu_before_extra_convs=False; torchvision has the ReLU).
    """

    def __init__(self, dims: tuple[int, int, int, int], width: int, levels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(dim, width, 1) for dim in dims[1:])
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in dims[1:])
        for i in range(levels - len(self.lateral)):
            source = dims[-1] if i == 0 else width
            self.output.append(nn.Conv2d(source, width, 3, stride=2, padding=1))

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        sums = [conv(x) for conv, x in zip(self.lateral, maps[1:], strict=True)]
        for i in range(len(sums) - 1, 0, -1):
            sums[i - 1] = sums[i - 1] + F.interpolate(sums[i], size=sums[i - 1].shape[2:], mode="nearest")
        outs = [conv(x) for conv, x in zip(self.output, sums, strict=False)]
        extra = maps[-1]
        for conv in self.output[len(sums) :]:
            extra = conv(extra)
            outs.append(extra)
        return outs


class Detector(Model):
    """Images (B, 3, H, W), RGB normalised -> (class logits, box deltas), each a list over levels.

    Level l: logits (B, A*K, H_l, W_l) and deltas (B, A*4, H_l, W_l), mmdet's order (FPN strides 8 upwards).
    """

    task = "detect"
    default_classes = 80  # COCO
    default_head = "retinanet"
    class_layer = "head.cls_out"
    resizes_like_classifier = False
    kinds: ClassVar = {
        "neck lateral": r"neck\.lateral\.\d+",
        "neck output": r"neck\.output\.\d+",
        "head tower": r"head\.(cls|reg)\.\d+",
        "head output": r"head\.(cls|reg)_out",
    }
    config: HeadConfig

    def __init__(self, backbone: Backbone, num_classes: int, head: HeadConfig) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.config = head
        self.backbone = backbone
        self.neck = FPN(backbone.variant.dims, head.width, head.levels)
        self.head = RetinaHead(head, num_classes)
        backbone.initialise()
        initialise_layers(self.neck)
        initialise_layers(self.head)
        self.head.initialise()

    @classmethod
    def build(cls, backbone: Backbone, num_classes: int, head: Any) -> "Detector":
        return cls(backbone, num_classes, get_head(head))

    @classmethod
    def owns(cls, name: str) -> bool:
        return _OWN.match(name) is not None

    @classmethod
    def count_classes(cls, tensors: Mapping[str, Tensor]) -> int | None:
        classes, boxes = tensors.get("head.cls_out.weight"), tensors.get("head.reg_out.weight")
        if classes is None or boxes is None:
            return None
        rows, coordinates = (tensor.shape[0] if tensor.ndim else 0 for tensor in (classes, boxes))
        return rows // max(coordinates // 4, 1)

    @classmethod
    def head_in(cls, tensors: Mapping[str, Tensor], name: Any, trained: "TrainedHead") -> HeadConfig:
        """The preset called `name`, else that of the file's sizes or RetinaNet in them; with the file's anchors."""
        lateral = tensors.get("neck.lateral.0.weight")
        if name is not None or lateral is None or not lateral.ndim:
            return trained.config(get_head(name or cls.default_head))
        towers = [int(match[1]) for match in map(_TOWER.fullmatch, tensors) if match]
        sizes = replace(
            HeadConfig(),
            width=lateral.shape[0],
            depth=max(towers, default=-1) + 1,
            levels=min(max(sum(_PYRAMID.fullmatch(key) is not None for key in tensors), 3), 5),
            batch_norm="head.cls.0.norms.0.weight" in tensors,
        )
        boxes = tensors.get("head.reg_out.weight")
        anchors = boxes.shape[0] // 4 if boxes is not None and boxes.ndim else sizes.anchors_per_cell
        alike = (head for head in HEADS.values() if str(head) == str(sizes) and head.anchors_per_cell == anchors)
        return trained.config(next(alike, sizes))

    @property
    def rows_per_class(self) -> int:
        return self.config.anchors_per_cell

    def only_classes_differ(self, tensors: Mapping[str, Tensor]) -> bool:
        boxes = tensors.get("head.reg_out.weight")  # of other anchors, the rows tell no number of classes
        return boxes is not None and boxes.shape == self.head.reg_out.weight.shape

    def trained_config(self, trained: "TrainedHead") -> HeadConfig:
        return trained.config(self.config)

    def last_norm(self) -> tuple[nn.LayerNorm, nn.Module] | None:
        norm = self.backbone.final_norm()
        extra = len(self.neck.output) > len(self.neck.lateral)  # which reads the map through zero padding
        return None if norm is None or extra else (norm, self.neck.lateral[-1])

    def notes(self) -> dict[str, str]:
        return self.config.notes()

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = self.head(self.neck(self.backbone(images)))
        return logits, deltas
