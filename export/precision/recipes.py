"""Placements to start from, each a set of block kinds; which is fastest depends on the CPU and the input size.

What was seen on Xeons with VNNI and AMX: the MLP pays most, its depthwise convolution too once the quantisers around
it fuse; attention's own products run as one bfloat16 kernel that INT8 does not speed up; q, k, v and proj are narrow
at the first stages, where the bytes saved do not pay for the quantisers, and wide at the last.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pvt_edge.models import kind_of

# kinds of blocks, as families and heads name them
MLP = ("mlp in", "depthwise", "mlp out")
HEAD = ("neck output", "head tower", "head output")
REDUCTION = ("spatial reduction",)
EMBED = ("patch embed",)
SIDES = ("head lateral", "head pooling")  # 1x1 convolutions of a segmenter's head
LINEARS = (
    "attention query",
    "attention key",
    "attention value",
    "attention output",
    "class layer",
    "neck lateral",
    *SIDES,
)
PRODUCTS = ("attention products",)
FIRST = ("first patch embed",)
LATE = ("stages.2.", "stages.3.", "head")  # where linears are wide


@dataclass(frozen=True)
class Recipe:
    """A named set of block kinds; those of `late` count in the last two stages and the head alone."""

    name: str
    words: str
    kinds: tuple[str, ...]
    late: tuple[str, ...] = ()

    def blocks(self, known: Sequence[str]) -> frozenset[str]:
        """Those of `known` that the recipe runs in INT8."""
        kinds = {block: kind_of(block) for block in known}
        return frozenset(
            block
            for block, kind in kinds.items()
            if kind in self.kinds or (kind in self.late and block.startswith(LATE))
        )


LIGHT = (*MLP, *HEAD)
REDUCED = (*LIGHT, *REDUCTION, *EMBED)
RECIPES = (
    Recipe("int8 mlp", "MLPs with their depthwise convolutions; neck and head", LIGHT),
    Recipe("int8 mlp+sr", "and spatial reduction, patch embeds", REDUCED),
    Recipe("int8 late", "and q, k, v, proj of the last two stages", REDUCED, late=LINEARS),
    Recipe("int8 linear", "and q, k, v, proj of all stages", (*REDUCED, *LINEARS)),
    Recipe("int8 all", "and attention's products, everything", (*REDUCED, *LINEARS, *PRODUCTS, *FIRST)),
)
# What --tune quick and off take: the fastest on the machine the README's figures come from.
RECORDED = RECIPES[2]
# For TensorRT, where no clock is at hand when the graph is made. In the layers it builds, attention is one fused
# kernel in float16 already, and a depthwise convolution fuses with its GELU in float16 but in INT8 is padded to
# fourfold channels and stands alone: neither gains. The lighter ones are for budgets that the first does not meet.
PLAIN = ("mlp in", "mlp out", *HEAD)
FOR_TENSORRT = (
    Recipe(
        "int8",
        "all linears and convolutions but the depthwise",
        (*PLAIN, *REDUCTION, *EMBED, *FIRST, *LINEARS),
    ),
    Recipe("int8 mlp+sr", "MLPs, spatial reduction, patch embeds, neck and head", (*PLAIN, *REDUCTION, *EMBED)),
    Recipe("int8 mlp", "MLPs, neck and head", PLAIN),
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
    patterns += [r"^neck\.lateral", r"^neck\.output", r"^head\.(cls|reg)\.", r"^head(\.(cls|reg)_out|\.classes)?$"]
    patterns += [r"^head\.(lateral|ppm)\.", r"^head\.(smooth|output|scale|bottleneck|fuse)\."]
    sets = [frozenset(block for block in known if re.search(pattern, block)) for pattern in patterns]
    return [blocks for blocks in sets if blocks]
