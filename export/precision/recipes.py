"""Placements to start from, each a set of block kinds; which is fastest depends on the CPU and the input size.

What was seen on Xeons with VNNI and AMX: the MLP pays most, its depthwise convolution too once the quantisers around
it fuse; attention's own products run as one bfloat16 kernel that INT8 does not speed up; q, k, v and proj are narrow
at the first stages, where the bytes saved do not pay for the quantisers, and wide at the last.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MLP = r"\.mlp\.(fc1|dwconv|fc2)$"
HEAD = r"^(neck\.output|head\.(cls|reg))\.\d+$|^head\.(cls|reg)_out$"
REDUCTION = r"\.attn\.sr$"
EMBED = r"^stages\.[1-9]\.patch_embed$"
LINEARS = r"\.attn\.(q|k|v|proj)$|^head$|^neck\.lateral\.\d+$"
LATE_LINEARS = r"^stages\.[23]\..*\.attn\.(q|k|v|proj)$|^head$"
PRODUCTS = r"\.attn\.products$"
FIRST = r"^stages\.0\.patch_embed$"


@dataclass(frozen=True)
class Recipe:
    """A named set of block kinds, each a pattern of block names."""

    name: str
    words: str
    patterns: tuple[str, ...]

    def blocks(self, known: Sequence[str]) -> frozenset[str]:
        """Those of `known` that the recipe runs in INT8."""
        return frozenset(block for block in known if any(re.search(pattern, block) for pattern in self.patterns))


RECIPES = (
    Recipe("int8 mlp", "MLPs with their depthwise convolutions; neck and head", (MLP, HEAD)),
    Recipe("int8 mlp+sr", "and spatial reduction, patch embeds", (MLP, HEAD, REDUCTION, EMBED)),
    Recipe("int8 late", "and q, k, v, proj of the last two stages", (MLP, HEAD, REDUCTION, EMBED, LATE_LINEARS)),
    Recipe("int8 linear", "and q, k, v, proj of all stages", (MLP, HEAD, REDUCTION, EMBED, LINEARS)),
    Recipe("int8 all", "and attention's products, everything", (MLP, HEAD, REDUCTION, EMBED, LINEARS, PRODUCTS, FIRST)),
)
# Blocks that a search moves between INT8 and float together, to see what the clock says.
MOVED_TOGETHER = (
    r"\.mlp\.(fc1|dwconv|fc2)$",
    r"\.mlp\.fc2$",
    r"\.attn\.sr$",
    r"\.attn\.(q|k|v)$",
    r"\.attn\.proj$",
    r"\.attn\.products$",
    r"\.patch_embed$",
)


def moves(known: Sequence[str]) -> list[frozenset[str]]:
    """Every set of blocks to move: each kind at each stage, the neck's convolutions, the head's."""
    stages = sorted({".".join(block.split(".")[:2]) for block in known if block.startswith("stages.")})
    patterns = [
        rf"^{re.escape(stage)}\..*{kind}|^{re.escape(stage)}{kind}" for stage in stages for kind in MOVED_TOGETHER
    ]
    patterns += [r"^neck\.lateral", r"^neck\.output", r"^head\.(cls|reg)\.", r"^head(\.(cls|reg)_out)?$"]
    sets = [frozenset(block for block in known if re.search(pattern, block)) for pattern in patterns]
    return [blocks for blocks in sets if blocks]


# For TensorRT, where no clock is at hand when the graph is made. In the layers it builds, attention is one fused
# kernel in float16 already, and a depthwise convolution fuses with its GELU in float16 but in INT8 is padded to
# fourfold channels and stands alone: neither gains. The lighter ones are for budgets that the first does not meet.
FOR_TENSORRT = (
    Recipe(
        "int8",
        "all linears and convolutions but the depthwise",
        (r"\.mlp\.fc[12]$", HEAD, REDUCTION, EMBED, FIRST, LINEARS),
    ),
    Recipe(
        "int8 mlp+sr",
        "MLPs, spatial reduction, patch embeds, neck and head",
        (r"\.mlp\.fc[12]$", HEAD, REDUCTION, EMBED),
    ),
    Recipe("int8 mlp", "MLPs, neck and head", (r"\.mlp\.fc[12]$", HEAD)),
)

# What --tune quick and off take: the fastest on the machine the README's figures come from.
RECORDED = {"detect": RECIPES[2], "classify": RECIPES[2], "features": RECIPES[2]}
