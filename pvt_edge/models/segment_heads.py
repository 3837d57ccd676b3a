"""Heads of segmenters: four maps of the backbone -> logits (B, K, H/4, W/4). All resizes are half-pixel bilinear."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.arguments import check_whole
from pvt_edge.errors import ArgumentError, UnknownNameError, described

Dims = Sequence[int]  # channels of the backbone's four maps
PPM_SIDES = (1, 2, 3, 6)
FPN_NECK = 256  # channels of Semantic FPN's pyramid
DROP = 0.1  # of the channels before the class layer, in training


@dataclass(frozen=True)
class SegmentHeadConfig:
    """Kind and size of a head: "linear", "fpn" (Semantic FPN), "upernet" or "lite".

    `width` is the number of channels that its convolutions work in; a linear head has none.
    """

    kind: str
    width: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("head", self.kind, KINDS)
        check_whole("SegmentHeadConfig()", width=self.width)
        least = 0 if self.kind == "linear" else 2
        if not least <= self.width <= 1 << 14:
            raise ArgumentError(f"SegmentHeadConfig(): width must be {least} to {1 << 14}, not {self.width}")

    def __str__(self) -> str:
        return self.kind if self.width == KINDS[self.kind].width else f"{self.kind}:{self.width}"


class ConvNorm(nn.Module):
    """A convolution as mmcv's ConvModule, no bias, BatchNorm, ReLU: (B, in, H, W) -> (B, out, H, W).

    The deploy form folds the BatchNorm into the convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


class SegmentHead(nn.Module):
    """What every head has: `classes`, a 1x1 convolution that gives logits, and `drop` before it."""

    width: int = 0  # unless said

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(DROP)
        self.classes = nn.Conv2d(channels, num_classes, 1)


class LinearHead(SegmentHead):
    """The class layer on the last map alone."""

    def __init__(self, dims: Dims, width: int, num_classes: int) -> None:
        super().__init__(dims[-1], num_classes)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return resize(self.classes(self.drop(maps[-1])), maps[0])


class LiteHead(SegmentHead):
    """A small pyramid for the edge: sums from the coarsest map down, one 3x3 convolution at stride 8 and one at 4.

    Its logits are means over 3x3 places: for almost nothing, borders come without specks.
    """

    width = 64

    def __init__(self, dims: Dims, width: int, num_classes: int) -> None:
        super().__init__(width // 2, num_classes)
        self.lateral = nn.ModuleList(ConvNorm(dim, width, 1) for dim in dims)
        self.smooth = nn.ModuleList((ConvNorm(width, width // 2, 3), ConvNorm(width, width, 3)))  # strides 4 and 8

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        fine, middle, *coarse = (lateral(x) for lateral, x in zip(self.lateral, maps, strict=True))
        total = coarse[1]
        for finer in (coarse[0], middle):
            total = finer + _nearest(total, finer)
        total = fine + _nearest(self.smooth[1](total), fine)
        logits: Tensor = self.classes(self.drop(self.smooth[0](total)))
        return F.avg_pool2d(logits, 3, stride=1, padding=1, count_include_pad=False)


class SemanticFPN(SegmentHead):
    """mmseg's FPN (start_level 0, four outputs of 256) with FPNHead: every level brought to stride 4, then summed."""

    width = 128

    def __init__(self, dims: Dims, width: int, num_classes: int) -> None:
        super().__init__(width, num_classes)
        self.lateral = nn.ModuleList(nn.Conv2d(dim, FPN_NECK, 1) for dim in dims)
        self.output = nn.ModuleList(nn.Conv2d(FPN_NECK, FPN_NECK, 3, padding=1) for _ in dims)
        self.scale = nn.ModuleList(
            nn.ModuleList(ConvNorm(FPN_NECK if i == 0 else width, width, 3) for i in range(max(level, 1)))
            for level in range(len(dims))
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        sums = [conv(x) for conv, x in zip(self.lateral, maps, strict=True)]
        for i in range(len(sums) - 1, 0, -1):
            sums[i - 1] = sums[i - 1] + _nearest(sums[i], sums[i - 1])
        total: Tensor | None = None
        for i, (conv, x) in enumerate(zip(self.output, sums, strict=True)):
            level = self._scaled(i, conv(x))
            total = level if total is None else total + resize(level, total)
        logits: Tensor = self.classes(self.drop(total))
        return logits

    def _scaled(self, level: int, x: Tensor) -> Tensor:
        """A level at twice its size after each of its convolutions; the finest stays as it is."""
        for conv in self.scale[level]:  # type: ignore[attr-defined]
            x = conv(x)
            if level:
                x = resize_to(x, (2 * x.shape[2], 2 * x.shape[3]))
        return x


class UPerNet(SegmentHead):
    """mmseg's UPerHead: pyramid pooling on the last map, sums from it down, all levels joined at stride 4."""

    width = 512

    def __init__(self, dims: Dims, width: int, num_classes: int) -> None:
        super().__init__(width, num_classes)
        self.ppm = nn.ModuleList(ConvNorm(dims[-1], width, 1) for _ in PPM_SIDES)
        self.bottleneck = ConvNorm(dims[-1] + len(PPM_SIDES) * width, width, 3)
        self.lateral = nn.ModuleList(ConvNorm(dim, width, 1) for dim in dims[:-1])
        self.output = nn.ModuleList(ConvNorm(width, width, 3) for _ in dims[:-1])
        self.fuse = ConvNorm(len(dims) * width, width, 3)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        last = maps[-1]
        pooled = [self.spread(conv(x), last) for conv, x in zip(self.ppm, self.pool(last), strict=True)]
        sums = [conv(x) for conv, x in zip(self.lateral, maps[:-1], strict=True)]
        sums.append(self.bottleneck(torch.cat([last, *pooled], dim=1)))
        for i in range(len(sums) - 1, 0, -1):
            sums[i - 1] = sums[i - 1] + resize(sums[i], sums[i - 1])
        levels = [conv(x) for conv, x in zip(self.output, sums[:-1], strict=True)] + [sums[-1]]
        joined = torch.cat([levels[0], *(resize(level, levels[0]) for level in levels[1:])], dim=1)
        logits: Tensor = self.classes(self.drop(self.fuse(joined)))
        return logits

    def pool(self, last: Tensor) -> list[Tensor]:
        """The last map averaged to 1, 2, 3 and 6 cells a side; bins overlap where they do not divide it."""
        return [F.adaptive_avg_pool2d(last, side) for side in PPM_SIDES]

    def spread(self, pooled: Tensor, last: Tensor) -> Tensor:
        """Pooled cells at the size of the last map."""
        return resize(pooled, last)


KINDS: dict[str, type[LinearHead] | type[LiteHead] | type[SemanticFPN] | type[UPerNet]] = {
    "lite": LiteHead,
    "linear": LinearHead,
    "fpn": SemanticFPN,
    "upernet": UPerNet,
}


def get_segment_head(head: str | SegmentHeadConfig) -> SegmentHeadConfig:
    """`head` itself, or the kind of that name, with its width behind a colon: "upernet:128"."""
    if isinstance(head, SegmentHeadConfig):
        return head
    if not isinstance(head, str):
        raise ArgumentError(f"head must be a name or a SegmentHeadConfig, not {described(head)}")
    kind, _, width = head.partition(":")
    if kind not in KINDS:
        raise UnknownNameError("head", kind, KINDS)
    if width and not width.isdecimal():
        raise ArgumentError(f"head {head!r}: behind the colon stands its width, as in upernet:128")
    return SegmentHeadConfig(kind, int(width) if width else KINDS[kind].width)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """`x` at the height and width of `like`, bilinear."""
    return resize_to(x, (like.shape[2], like.shape[3]))


def resize_to(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """`x` at (height, width), bilinear."""
    return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=False)


def _nearest(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="nearest")
