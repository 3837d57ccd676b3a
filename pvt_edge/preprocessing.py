"""What happens to a picture before the backbone: as options, and the tensor form used where torch is."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from pvt_edge.bundle.schema import ChannelOrder, Interpolation, NormaliseSpec, ResizeMode, Triple

if TYPE_CHECKING:
    from torch import Tensor

IMAGENET = NormaliseSpec()


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How pictures become a network's input; None is not said, and leaves it to what is beside the weights.

    Args:
        mean: subtracted from values 0 to 255, in the model's order of channels.
        std: divides them then.
        channel_order: the model's, RGB or BGR.
        resize: letterbox, stretch or crop.
        crop: how much of the resized picture is cut out of its centre, a fraction of its sides above 0 and up to 1.
        corner: how the corner of that centre becomes a whole pixel, round or floor.
        interpolation: OpenCV's linear or cubic, or Pillow's nearest, box, bilinear, hamming, bicubic or lanczos.
        imgsz: (height, width) of the input.
    """

    mean: Triple | None = None
    std: Triple | None = None
    channel_order: ChannelOrder | None = None
    resize: ResizeMode | None = None
    crop: float | None = None
    corner: str | None = None
    interpolation: Interpolation | None = None
    imgsz: tuple[int, int] | None = None

    @property
    def said(self) -> dict[str, Any]:
        """What is not None, by its field's name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def over(self, other: "Preprocessing") -> "Preprocessing":
        """`other`, with what this one says in its place."""
        return replace(other, **self.said)


def normalise(images: "Tensor", spec: NormaliseSpec = IMAGENET) -> "Tensor":
    """uint8 BGR (B, H, W, 3) -> float32 (B, 3, H, W), normalised, in the channel order of `spec`."""
    import torch

    ordered = images if spec.channel_order == "BGR" else images.flip(-1)
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    return (ordered.permute(0, 3, 1, 2).to(torch.float32) - mean) / std
