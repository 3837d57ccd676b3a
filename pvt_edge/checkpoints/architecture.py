"""Which variant a file's tensors make up, told from their names and shapes."""

import re
from collections.abc import Mapping

from torch import Tensor

from pvt_edge.checkpoints.naming import BACKBONE
from pvt_edge.models import FAMILIES
from pvt_edge.variants import VARIANTS, Variant

_BLOCK = re.compile(re.escape(BACKBONE) + r"stages\.(\d+)\.blocks\.(\d+)\.")

Traits = tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]


def traits_of_variant(variant: Variant) -> Traits:
    """What tells variants apart: (family, dims, depths, MLP ratios, linear)."""
    return variant.family, variant.dims, variant.depths, variant.mlp_ratios, variant.linear


def traits_of_tensors(tensors: Mapping[str, Tensor]) -> Traits | None:
    """The same of `tensors` in our names; None where those that tell it are missing or make no sense."""
    dims, ratios = [], []
    for stage in range(4):
        embed = tensors.get(f"{BACKBONE}stages.{stage}.patch_embed.proj.bias")
        hidden = tensors.get(f"{BACKBONE}stages.{stage}.blocks.0.mlp.fc1.bias")
        if embed is None or hidden is None or not embed.numel() or hidden.numel() % embed.numel():
            return None
        dims.append(embed.numel())
        ratios.append(hidden.numel() // embed.numel())
    depths = [0, 0, 0, 0]
    for match in filter(None, map(_BLOCK.match, tensors)):
        stage, block = int(match[1]), int(match[2])
        if stage < 4:
            depths[stage] = max(depths[stage], block + 1)
    # stage 4 reduces its keys in the linear variant alone
    linear = f"{BACKBONE}stages.3.blocks.0.attn.sr.weight" in tensors
    return family_of(tensors), tuple(dims), tuple(depths), tuple(ratios), linear


def family_of(tensors: Mapping[str, Tensor]) -> str:
    """The family whose marker is among `tensors`; that without one where none is."""
    marked = [family.name for family in FAMILIES.values() if family.marker and BACKBONE + family.marker in tensors]
    return next(iter(marked), next(family.name for family in FAMILIES.values() if not family.marker))


def name_of(traits: Traits) -> str | None:
    """The known variant with these traits."""
    return next((name for name, variant in VARIANTS.items() if traits_of_variant(variant) == traits), None)
