"""The variants as a table: one frozen row each."""

from dataclasses import dataclass

from pvt_edge.errors import ArgumentError, UnknownNameError, described


@dataclass(frozen=True)
class Variant:
    """The numbers that tell one PVT from another (v1: arXiv 2102.12122, table 1; v2: 2106.13797, table 1).

    Attributes:
        name: "b0", "v1-tiny" ...
        dims: Channels of the four stages.
        depths: Their blocks.
        mlp_ratios: Hidden channels of their MLPs, in units of `dims`.
        params: Parameters of the classifier of 1000 classes.
        linear: Whether keys and values are pooled ("Li"), which ignores `sr_ratios`.
        heads: Of the stages' attention, the same of every variant.
        sr_ratios: How far keys and values are reduced, the same of every variant.
        family: The name of its family in `pvt_edge.models.FAMILIES`.
        class_token: Whether its classifiers add a token to stage 4.
        top1: The ImageNet accuracy in percent that the official weights have at 224, as whai362/PVT publishes it.
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
    class_token: bool = False
    top1: float | None = None

    @property
    def title(self) -> str:
        """In texts for people.

        >>> VARIANTS["b0"].title, VARIANTS["v1-tiny"].title
        ('PVT-v2 b0', 'PVT-v1 tiny')
        """
        family = FAMILY_TITLES.get(self.family, self.family)
        return f"{family} {self.name.removeprefix('v1-')}"


# The families in texts for people; a family from outside is called by its name
FAMILY_TITLES = {"pvt-v1": "PVT-v1", "pvt-v2": "PVT-v2"}

_SMALL, _WIDE = (32, 64, 160, 256), (64, 128, 320, 512)


def _v1(size: str, depths: tuple[int, int, int, int], params: int, top1: float) -> Variant:
    return Variant(f"v1-{size}", _WIDE, depths, (8, 8, 4, 4), params, family="pvt-v1", class_token=True, top1=top1)


VARIANTS: dict[str, Variant] = {
    v.name: v
    for v in (
        Variant("b0", _SMALL, (2, 2, 2, 2), (8, 8, 4, 4), 3_666_760, top1=70.5),
        Variant("b1", _WIDE, (2, 2, 2, 2), (8, 8, 4, 4), 14_009_000, top1=78.7),
        Variant("b2", _WIDE, (3, 4, 6, 3), (8, 8, 4, 4), 25_362_856, top1=82.0),
        Variant("b2-li", _WIDE, (3, 4, 6, 3), (8, 8, 4, 4), 22_553_512, linear=True, top1=82.1),
        Variant("b3", _WIDE, (3, 4, 18, 3), (8, 8, 4, 4), 45_238_696, top1=83.1),
        Variant("b4", _WIDE, (3, 8, 27, 3), (8, 8, 4, 4), 62_556_072, top1=83.6),
        Variant("b5", _WIDE, (3, 6, 40, 3), (4, 4, 4, 4), 81_956_008, top1=83.8),
        _v1("tiny", (2, 2, 2, 2), 13_229_288, 75.1),
        _v1("small", (3, 4, 6, 3), 24_485_864, 79.8),
        _v1("medium", (3, 4, 18, 3), 44_208_104, 81.2),
        _v1("large", (3, 8, 27, 3), 61_369_320, 81.7),
    )
}


def get_variant(name: str) -> Variant:
    """The row called `name`, in any case; `UnknownNameError` names the nearest otherwise.

    The names of official files and libraries are understood: pvt_v2_b2_li, pvt_tiny.

    >>> get_variant("pvt_v2_b2_li").name, get_variant("pvt_tiny").name
    ('b2-li', 'v1-tiny')
    """
    if not isinstance(name, str):
        raise ArgumentError(f"a variant is a name, {', '.join(VARIANTS)}, not {described(name)}")
    plain = name.lower().replace("_", "-")
    found = VARIANTS.get(name.lower()) or VARIANTS.get(plain)
    if found is None and plain.startswith("pvt-"):
        rest = plain.removeprefix("pvt-").removeprefix("v2-").replace("-linear", "-li")
        found = VARIANTS.get(rest) or VARIANTS.get(f"v1-{rest}")
    if found is None:
        raise UnknownNameError("variant", name, VARIANTS)
    return found


def title_of(variant: str) -> str:
    """A variant in texts for people, by its name as a bundle holds it: that alone where no such variant is known."""
    return VARIANTS[variant].title if variant in VARIANTS else variant
