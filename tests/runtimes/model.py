"""A detector small enough for a test: uint8 NHWC pixels in, boxes, scores and labels out."""

import torch
from torch import Tensor, nn

BATCH, HEIGHT, WIDTH, CLASSES, KEPT = 1, 48, 64, 6, 10


class TinyDetector(nn.Module):
    """images uint8 (B, 48, 64, 3) BGR -> boxes (B, 10, 4), scores (B, 10), labels (B, 10) int64."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
            self.head = nn.Conv2d(32, CLASSES + 4, 1)
        self.register_buffer("mean", torch.tensor([103.53, 116.28, 123.675]).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        pixels = images.float().permute(0, 3, 1, 2)  # (B, 3, H, W)
        maps = self.head(self.layers((pixels - self.mean) / 57.0))  # (B, K + 4, H/4, W/4)
        logits = maps[:, :CLASSES].permute(0, 2, 3, 1).flatten(1)  # (B, H/4 * W/4 * K)
        boxes = maps[:, CLASSES:].permute(0, 2, 3, 1).flatten(1, 2)  # (B, H/4 * W/4, 4)
        best, pair = logits.topk(KEPT)
        cell = torch.div(pair, CLASSES, rounding_mode="floor")
        return {
            "boxes": boxes.gather(1, cell.unsqueeze(-1).expand(-1, -1, 4)),
            "scores": best.sigmoid(),
            "labels": pair - cell * CLASSES,
        }
