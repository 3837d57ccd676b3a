"""LayerNorm's epsilon on our models: a dialect's property, not a tensor's, so no state_dict holds it."""

from collections.abc import Iterator

from torch import nn

from pvt_edge.models.backbone import Attention, Block, PatchEmbed, PVTv2, Stage


def embed_norms(backbone: PVTv2) -> Iterator[nn.LayerNorm]:
    """The LayerNorms after patch embeds and spatial reductions."""
    for module in backbone.modules():
        if isinstance(module, PatchEmbed) or (isinstance(module, Attention) and module.reduces):
            yield module.norm


def block_norms(backbone: PVTv2) -> Iterator[nn.LayerNorm]:
    """All other LayerNorms: two in each block and one at each stage's end."""
    for module in backbone.modules():
        if isinstance(module, Block):
            yield from (module.norm1, module.norm2)
        elif isinstance(module, Stage):
            yield module.norm


def get_epsilons(backbone: PVTv2) -> tuple[set[float], set[float]]:
    """The values in use, (embed, block); one each unless someone has set single modules by hand."""
    return {norm.eps for norm in embed_norms(backbone)}, {norm.eps for norm in block_norms(backbone)}


def set_epsilons(backbone: PVTv2, embed_eps: float | None, block_eps: float | None) -> None:
    """Set both values; None leaves one as it is."""
    for norms, eps in ((embed_norms(backbone), embed_eps), (block_norms(backbone), block_eps)):
        for norm in norms:
            norm.eps = norm.eps if eps is None else eps
