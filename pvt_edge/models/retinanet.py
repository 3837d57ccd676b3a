"""RetinaNet's head, mmdet's RetinaHead, with width, depth, levels and anchors as arguments."""

import json
import math
from dataclasses import dataclass
from numbers import Real

from torch import Tensor, nn

from pvt_edge.arguments import check_whole
from pvt_edge.errors import ArgumentError, UnknownNameError, described

OCTAVE_BASE_SCALE = 4  # the smallest anchor's side is 4 strides
ANCHORS = "anchors"  # the key of `HeadConfig.notes`
_NOTED = ("scales", "base_sizes", "center_offset", "scales_per_octave", "ratios")
PRIOR_PROBABILITY = 0.01  # every class starts at this score, so that the focal loss starts small


@dataclass(frozen=True)
class HeadConfig:
    """Size of a detection head; the defaults are mmdet's RetinaNet.

    A square anchor's side is a scale times the base size of its level.

    Attributes:
        width: Channels of the towers and of the FPN.
        depth: Convolutions of a tower.
        levels: Pyramid maps from stride 8 up, 3 to 5.
        batch_norm: The towers' convolutions carry one BatchNorm a level, which the deploy form folds away.
        scales_per_octave: Scales are 4 x 2^(i / scales_per_octave).
        ratios: Height to width of the anchors.
        pre_nms: Best candidates of each level that go on to NMS.
        scales: In place of those by octave.
        base_sizes: Pixels, one a level; by default its stride.
        center_offset: How many base sizes the middle of a cell's anchors is right and below of its corner.

    Raises:
        ArgumentError: For a number that is out of range.
    """

    width: int = 256
    depth: int = 4
    levels: int = 5
    batch_norm: bool = False
    scales_per_octave: int = 3
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    pre_nms: int = 1000
    scales: tuple[float, ...] | None = None
    base_sizes: tuple[float, ...] | None = None
    center_offset: float = 0.0

    @property
    def anchor_scales(self) -> tuple[float, ...]:
        """Sides of a square anchor in base sizes."""
        octave = tuple(OCTAVE_BASE_SCALE * 2.0 ** (i / self.scales_per_octave) for i in range(self.scales_per_octave))
        return octave if self.scales is None else self.scales

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("width", "depth", "levels", "scales_per_octave", "pre_nms")}
        check_whole("HeadConfig()", **sizes)
        for name, size in sizes.items():
            least, most = (3, 5) if name == "levels" else (0 if name == "depth" else 1, 1 << 20)
            if size is None or not least <= size <= most:
                raise ArgumentError(f"HeadConfig(): {name} must be {least} to {most}, not {size}")
        for name in ("ratios", "scales", "base_sizes"):
            values = getattr(self, name)
            if values is not None and (not values or not all(_is_positive(value) for value in values)):
                raise ArgumentError(f"HeadConfig(): {name} must be numbers above 0, not {described(values)}")
        if self.base_sizes is not None and len(self.base_sizes) != self.levels:
            raise ArgumentError(
                f"HeadConfig(): base_sizes must be {self.levels}, one a level, not {described(self.base_sizes)}"
            )
        if not math.isfinite(self.center_offset):
            raise ArgumentError(f"HeadConfig(): center_offset must be a finite number, not {self.center_offset}")

    def __str__(self) -> str:
        norms = " with BatchNorm" if self.batch_norm else ""
        return f"one of {self.width} channels, {self.depth} convolutions{norms} and {self.levels} levels"

    def notes(self) -> dict[str, str]:
        """What a file must say of the anchors beside its tensors; nothing where they are a preset's."""
        fields = {key: getattr(self, key) for key in _NOTED}
        known = any(all(value == getattr(preset, key) for key, value in fields.items()) for preset in HEADS.values())
        return {} if known else {ANCHORS: json.dumps(fields)}

    @property
    def anchors_per_cell(self) -> int:
        """Anchors at each map position."""
        return len(self.anchor_scales) * len(self.ratios)

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels per map position of each level."""
        return tuple(8 << i for i in range(self.levels))


def _is_positive(value: object) -> bool:
    return isinstance(value, Real) and 0 < float(value) < math.inf


HEADS: dict[str, HeadConfig] = {
    "retinanet": HeadConfig(),
    "lite": HeadConfig(width=64, depth=2, levels=3, batch_norm=True, scales_per_octave=1, ratios=(1.0,), pre_nms=300),
}


def get_head(head: str | HeadConfig) -> HeadConfig:
    """`head` itself, or the preset of that name."""
    if isinstance(head, HeadConfig):
        return head
    if not isinstance(head, str):
        raise ArgumentError(f"a head is {', '.join(HEADS)} or a HeadConfig, not {described(head)}")
    try:
        return HEADS[head]
    except KeyError:
        raise UnknownNameError("head", head, HEADS) from None


class TowerConv(nn.Module):
    """3x3 convolution, (BatchNorm,) ReLU: one convolution for all levels, statistics apart for each.

    Levels differ in their activations' mean and spread, so shared running statistics would fit none of them.
    """

    def __init__(self, width: int, levels: int, batch_norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=not batch_norm)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(levels)) if batch_norm else None

    def forward(self, x: Tensor, level: int) -> Tensor:
        x = self.conv(x)
        return nn.functional.relu(x if self.norms is None else self.norms[level](x))


class RetinaHead(nn.Module):
    """Pyramid maps -> class logits and box deltas of each level, the weights shared over levels.

    Returns two lists, level by level: (B, A*K, H, W) with channel a*K+k, and (B, A*4, H, W) with a*4+coord.
    """

    def __init__(self, config: HeadConfig, num_classes: int) -> None:
        super().__init__()

        def tower() -> nn.ModuleList:
            return nn.ModuleList(TowerConv(config.width, config.levels, config.batch_norm) for _ in range(config.depth))

        self.cls, self.reg = tower(), tower()
        self.cls_out = nn.Conv2d(config.width, config.anchors_per_cell * num_classes, 3, padding=1)
        self.reg_out = nn.Conv2d(config.width, config.anchors_per_cell * 4, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = [], []
        for level, x in enumerate(maps):
            cls = reg = x
            for conv in self.cls:
                cls = conv(cls, level)
            for conv in self.reg:
                reg = conv(reg, level)
            logits.append(self.cls_out(cls))
            deltas.append(self.reg_out(reg))
        return logits, deltas

    def initialise(self) -> None:
        """Set fresh weights: normal(0, 0.01), class bias from the prior probability."""
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, std=0.01)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
        assert self.cls_out.bias is not None
        nn.init.constant_(self.cls_out.bias, -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY))
