"""Feature pyramid as in mmdet's FPN: start_level=1, add_extra_convs='on_input', no norm, no activation."""

import torch.nn.functional as F
from torch import Tensor, nn


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
