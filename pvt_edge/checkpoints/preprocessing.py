"""What happens to a picture before the backbone: what a configuration says of it, and done where torch is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.options.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

IMAGENET = NormaliseSpec()


def normalise(images: "Tensor", spec: NormaliseSpec = IMAGENET) -> "Tensor":
    """uint8 BGR (B, H, W, 3) -> float32 (B, 3, H, W), normalised, in the channel order of `spec`."""
    import torch

    ordered = images if spec.channel_order == "BGR" else images.flip(-1)
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    return (ordered.permute(0, 3, 1, 2).to(torch.float32) - mean) / std


@dataclass(frozen=True)
class PictureOptions:
    """Fields as in `Sidecar`, of one configuration."""

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    labels: tuple[str, ...] | None = None
    epsilon: float | None = None
    taken: tuple[str, ...] = ()
    unclear: Mapping[str, str] = field(default_factory=dict)


def triple(value: Any) -> tuple[float, float, float]:
    """Three numbers, of a list of three or of one number for all channels; `ValueError` otherwise."""
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * 3
    numbers = [float(one) for one in values]
    if len(numbers) != 3 or not all(map(isfinite, numbers)):
        raise ValueError(f"{value!r} is not three numbers")
    return numbers[0], numbers[1], numbers[2]


def positive(values: tuple[float, float, float]) -> tuple[float, float, float]:
    """The values; `ValueError` unless all are above zero."""
    if min(values) <= 0:
        raise ValueError(f"{values} must be above 0")
    return values


def said_by(preprocessing: Preprocessing, source: str) -> tuple[str, ...]:
    """One line on what a configuration says, and where: "mean 127.5 127.5 127.5, resize stretch of config.json"."""
    parts = []
    for name, value in preprocessing.explicit.items():
        shown = " ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else value
        parts.append(f"{name} {shown:g}" if isinstance(shown, float) else f"{name} {shown}")
    return (f"{', '.join(parts)} of {source}",) if parts else ()
