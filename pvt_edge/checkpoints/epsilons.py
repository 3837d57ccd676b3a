"""LayerNorm's epsilon on our models: a dialect's property, not a tensor's, so no state_dict holds it."""

from pvt_edge.models import Backbone


def get_epsilons(backbone: Backbone) -> tuple[set[float], set[float]]:
    """The values in use, (embed, block); one each unless someone has set single modules by hand."""
    return {norm.eps for norm in backbone.embed_norms()}, {norm.eps for norm in backbone.block_norms()}


def set_epsilons(backbone: Backbone, embed_eps: float | None, block_eps: float | None) -> None:
    """Set both values; None leaves one as it is."""
    for norms, eps in ((backbone.embed_norms(), embed_eps), (backbone.block_norms(), block_eps)):
        for norm in norms:
            norm.eps = norm.eps if eps is None else eps
