"""The PVT-v2 family as a table: one frozen row per variant."""

from dataclasses import dataclass

from pvt_edge.errors import ArgumentError, UnknownNameError, described


@dataclass(frozen=True)
class Variant:
    """The numbers that tell one PVT-v2 from another (arXiv 2106.13797, table 1).

    `heads` [1, 2, 5, 8] and `sr_ratios` [8, 4, 2, 1] are those of every variant; `linear` is the
    pooled ("Li") spatial reduction, which ignores `sr_ratios`. `params` counts the 1000-class classifier.
    """

    name: str
    dims: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    mlp_ratios: tuple[int, int, int, int]
    params: int
    linear: bool = False
    heads: tuple[int, int, int, int] = (1, 2, 5, 8)
    sr_ratios: tuple[int, int, int, int] = (8, 4, 2, 1)
    family: str = "pvt-v2"


_SMALL, _WIDE = (32, 64, 160, 256), (64, 128, 320, 512)

VARIANTS: dict[str, Variant] = {
    v.name: v
    for v in (
        Variant("b0", _SMALL, (2, 2, 2, 2), (8, 8, 4, 4), 3_666_760),
        Variant("b1", _WIDE, (2, 2, 2, 2), (8, 8, 4, 4), 14_009_000),
        Variant("b2", _WIDE, (3, 4, 6, 3), (8, 8, 4, 4), 25_362_856),
        Variant("b2-li", _WIDE, (3, 4, 6, 3), (8, 8, 4, 4), 22_553_512, linear=True),
        Variant("b3", _WIDE, (3, 4, 18, 3), (8, 8, 4, 4), 45_238_696),
        Variant("b4", _WIDE, (3, 8, 27, 3), (8, 8, 4, 4), 62_556_072),
        Variant("b5", _WIDE, (3, 6, 40, 3), (4, 4, 4, 4), 81_956_008),
    )
}


def get_variant(name: str) -> Variant:
    """The row called `name`, in any case; `UnknownNameError` names the nearest otherwise."""
    if not isinstance(name, str):
        raise ArgumentError(f"a variant is a name, {', '.join(VARIANTS)}, not {described(name)}")
    try:
        return VARIANTS[name.lower()]
    except KeyError:
        raise UnknownNameError("variant", name, VARIANTS) from None
