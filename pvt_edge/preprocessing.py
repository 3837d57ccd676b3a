"""What happens to a picture before the backbone: the constants, and the tensor form used where torch is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# ImageNet statistics, RGB, for values in 0..255: what every published PVT-v2 file was trained with.
MEAN_RGB = (123.675, 116.28, 103.53)
STD_RGB = (58.395, 57.12, 57.375)


def normalise(images: "Tensor") -> "Tensor":
    """uint8 BGR (B, H, W, 3) -> normalised RGB float32 (B, 3, H, W)."""
    import torch

    rgb = images.flip(-1).permute(0, 3, 1, 2).to(torch.float32)
    mean = torch.tensor(MEAN_RGB, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(STD_RGB, device=images.device).view(1, 3, 1, 1)
    return (rgb - mean) / std
