"""One way to name and lay out a model's tensors, as a table that is read in both directions.

A template holds numbers in braces: {s} stage, {b} block, {i} and {j} positions. A tensor's own last name (weight, bias)
follows after a dot, or directly where the template ends in an underscore; one that ends in "=" is the whole name.
"""

from dataclasses import dataclass
from typing import Literal

from pvt_edge.errors import UnknownNameError

Pair = tuple[str, str]  # (our template, theirs)

_FPN = (
    ("neck.lateral.{i}", "neck.lateral_convs.{i}.conv"),
    ("neck.output.{i}", "neck.fpn_convs.{i}.conv"),
)
_RETINANET = (
    ("head.cls.{i}.conv", "bbox_head.cls_convs.{i}.conv"),
    ("head.reg.{i}.conv", "bbox_head.reg_convs.{i}.conv"),
    ("head.cls_out", "bbox_head.retina_cls"),
    ("head.reg_out", "bbox_head.retina_reg"),
)
_SEGMENTERS = (  # of all kinds; those with BatchNorm have `conv` and `norm`
    "head.classes",
    *("head.lateral.{i}", "head.output.{i}"),
    *(
        f"head.{part}.{leaf}"
        for part in ("lateral.{i}", "smooth.{i}", "output.{i}", "scale.{i}.{j}", "ppm.{i}", "bottleneck", "fuse")
        for leaf in ("conv", "norm")
    ),
)
_OWN = (
    *((ours, ours) for ours, _ in (("head", ""), *_FPN, *_RETINANET)),
    ("head.cls.{i}.norms.{j}", "head.cls.{i}.norms.{j}"),
    ("head.reg.{i}.norms.{j}", "head.reg.{i}.norms.{j}"),
    *((ours, ours) for ours in _SEGMENTERS),
)

# Semantic FPN's neck has RetinaNet's names, and is told from it by its head: see `translation.py`
SEGMENTER_NECK = (("neck.lateral", "head.lateral"), ("neck.output", "head.output"))


def segmenters_of(norm: str = "bn", classes: str = "conv_seg") -> tuple[Pair, ...]:
    """Heads of segmenters as mmseg names them, but for BatchNorm and the class layer."""
    blocks = [
        *((f"scale.{{i}}.{j}", f"scale_heads.{{i}}.{2 * j}") for j in range(3)),  # between them it resizes
        *(("ppm.{i}", "psp_modules.{i}.1"), ("bottleneck", "bottleneck"), ("fuse", "fpn_bottleneck")),
        *(("lateral.{i}", "lateral_convs.{i}"), ("output.{i}", "fpn_convs.{i}")),
    ]
    leaves = (("conv", "conv"), ("norm", norm))
    return (
        ("head.classes", f"decode_head.{classes}"),
        *(
            (f"head.{ours}.{our_leaf}", f"decode_head.{theirs}.{leaf}")
            for ours, theirs in blocks
            for our_leaf, leaf in leaves
        ),
        *((ours.replace("neck.", "head."), theirs) for ours, theirs in _FPN),
    )


def heads_of(classifier: str = "head", segmenters: tuple[Pair, ...] = segmenters_of()) -> tuple[Pair, ...]:
    """The heads as libraries name them: all but the classifier's layer and segmenters, as OpenMMLab does."""
    return (("head", classifier), *_FPN, *_RETINANET, *segmenters)


@dataclass(frozen=True)
class Dialect:
    """A library's names for the tensors of a family.

    Attributes:
        name: Of the library.
        family: Of the backbones.
        marker: The end of a tensor's name by which the dialect is known.
        backbone: Template pairs of the backbone, in the order in which they are tried.
        heads: The same of heads and necks.
        qkv: In which tensors queries, keys and values lie.
        embed_eps: LayerNorm's epsilon after patch embeds and spatial reductions; None leaves it to the file.
        block_eps: The same everywhere else.
        positions: Whether its backbones have learned positions, without which the marker is another family's.
        first_stage: The number of stage 1.
        first_block: The number of a stage's first block.
        conv_fc: Whether fc1 and fc2 are 1x1 convolutions.
        has_linear: Whether it knows linear attention.
    """

    name: str
    family: str
    marker: str
    backbone: tuple[Pair, ...]
    qkv: Literal["q+kv", "q+k+v", "in_proj"]
    embed_eps: float | None
    block_eps: float | None
    heads: tuple[Pair, ...] = heads_of()
    positions: bool = False
    first_stage: int = 0
    first_block: int = 0
    conv_fc: bool = False
    has_linear: bool = True

    @property
    def native(self) -> bool:
        """Whether it is our own."""
        return self.name == NATIVE


NATIVE = "native"
NATIVE_HEADS = _OWN
DIALECTS: list[Dialect] = []


def register_dialect(dialect: Dialect) -> None:
    """Add a dialect to the table."""
    DIALECTS.append(dialect)


def get_dialect(name: str, family: str = "pvt-v2") -> Dialect:
    """The dialect of that name for a family; `UnknownNameError` for one that is not known."""
    names = {dialect.name: dialect for dialect in DIALECTS if dialect.family == family}
    if name not in names:
        raise UnknownNameError("dialect", name, names)
    return names[name]
