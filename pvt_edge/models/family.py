"""Backbone families: one row each of what the package must know to build them and to read their checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pvt_edge.errors import UnknownNameError
from pvt_edge.models.model import Backbone
from pvt_edge.models.pvt_v1 import PVTv1
from pvt_edge.models.pvt_v2 import BLOCK_KINDS, PVTv2
from pvt_edge.variants import FAMILY_TITLES, Variant


@dataclass(frozen=True)
class Family:
    """Backbones of one design.

    Attributes:
        name: As the variants' rows spell it.
        title: In texts for people.
        backbone: The training form, made with (variant, drop_path).
        marker: A tensor that the backbones of this family alone have, in our names.
        kinds: The kinds of its blocks, as recipes of precision name them -> the pattern of a whole block name.
    """

    name: str
    title: str
    backbone: type[Backbone]
    marker: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)


FAMILIES: dict[str, Family] = {}


def register_family(family: Family) -> None:
    """Add a family to the table; its variants go into `pvt_edge.variants.VARIANTS`."""
    FAMILIES[family.name] = family


def get_family(name: str) -> Family:
    """The family called `name`; `UnknownNameError` for another."""
    if name not in FAMILIES:
        raise UnknownNameError("family", name, FAMILIES)
    return FAMILIES[name]


def build_backbone(variant: Variant, drop_path: float = 0.0) -> Backbone:
    """A fresh backbone; `drop_path` is the highest rate of stochastic depth, the last block's."""
    return get_family(variant.family).backbone(variant, drop_path)


register_family(Family("pvt-v2", FAMILY_TITLES["pvt-v2"], PVTv2, kinds=BLOCK_KINDS))
register_family(Family("pvt-v1", FAMILY_TITLES["pvt-v1"], PVTv1, marker="stages.0.pos_embed"))
