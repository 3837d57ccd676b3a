"""What happens to a picture before the backbone, in the tensor form used where torch is."""

from typing import TYPE_CHECKING

from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.options.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["IMAGENET", "Preprocessing", "normalise"]

IMAGENET = NormaliseSpec()


def normalise(images: "Tensor", spec: NormaliseSpec = IMAGENET) -> "Tensor":
    """uint8 BGR (B, H, W, 3) -> float32 (B, 3, H, W), normalised, in the channel order of `spec`."""
    import torch

    ordered = images if spec.channel_order == "BGR" else images.flip(-1)
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    return (ordered.permute(0, 3, 1, 2).to(torch.float32) - mean) / std
