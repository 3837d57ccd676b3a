"""Backbone families: one row each of what the package must know to build them and to read their checkpoints."""

from dataclasses import dataclass

from pvt_edge.errors import UnknownNameError
from pvt_edge.models.model import Backbone
from pvt_edge.models.pvt_v2 import PVTv2
from pvt_edge.variants import Variant


@dataclass(frozen=True)
class Family:
    """Backbones of one design.

    Attributes:
        name: As the variants' rows spell it.
        title: In texts for people.
        backbone: The training form, made with (variant, drop_path).
    """

    name: str
    title: str
    backbone: type[Backbone]


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


register_family(Family("pvt-v2", "PVT v2", PVTv2))
