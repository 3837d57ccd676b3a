"""PVT-v2 backbone, training form (arXiv 2106.13797).

Shapes: B batch, C channels of the stage, H x W its map, N = H*W tokens, M key tokens.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvt_edge.models.model import Backbone
from pvt_edge.moves import LINEAR_POOL, BlockMoves
from pvt_edge.variants import Variant

# Two epsilons, as in the official code and timm: nn.LayerNorm's default after the patch embeds and the
# spatial reduction, 1e-6 elsewhere. Other dialects differ; load_weights sets what the file was trained with.
EMBED_EPS = 1e-5
BLOCK_EPS = 1e-6

BLOCK_KINDS = {
    "first patch embed": r"stages\.0\.patch_embed",
    "patch embed": r"stages\.[1-3]\.patch_embed",
    "spatial reduction": r"stages\.\d\..*\.attn\.sr",
    "attention query": r"stages\.\d\..*\.attn\.q",
    "attention key": r"stages\.\d\..*\.attn\.k",
    "attention value": r"stages\.\d\..*\.attn\.v",
    "attention output": r"stages\.\d\..*\.attn\.proj",
    "attention products": r"stages\.\d\..*\.attn\.products",
    "mlp in": r"stages\.\d\..*\.mlp\.fc1",
    "depthwise": r"stages\.\d\..*\.mlp\.dwconv",
    "mlp out": r"stages\.\d\..*\.mlp\.fc2",
}


def pool_tokens(x: Tensor, h: int, w: int, side: int) -> tuple[Tensor, int, int]:
    """Tokens (B, H*W, C) averaged over windows of `side` x `side`, and the map they make: height, width.

    Windows at the right and lower edge average the tokens that exist.
    """
    if side == 1:
        return x, h, w
    grid = x.transpose(1, 2).unflatten(2, (h, w))  # (B, C, H, W)
    grid = F.avg_pool2d(grid, side, ceil_mode=True, count_include_pad=False)
    return grid.flatten(2).transpose(1, 2), grid.shape[2], grid.shape[3]


def spread_tokens(x: Tensor, h: int, w: int, side: int) -> Tensor:
    """The opposite of `pool_tokens`: each pooled token at all places of its window on the map of h x w."""
    if side == 1:
        return x
    grid = x.unflatten(1, (-(-h // side), -(-w // side)))  # (B, H/side, W/side, C)
    grid = grid.repeat_interleave(side, dim=1).repeat_interleave(side, dim=2)
    return grid[:, :h, :w].flatten(1, 2)


class PatchEmbed(nn.Module):
    """Overlapping patches: kernel 2S-1, stride S, padding S-1 (7/4/3 at stage 1, 3/2/1 after; paper §3.2).

    Those of v1 lie side by side, kernel and stride in one: rows and columns beyond a multiple are dropped.
    """

    def __init__(self, in_dim: int, dim: int, stride: int, overlap: bool = True) -> None:
        super().__init__()
        kernel = 2 * stride - 1 if overlap else stride
        self.proj = nn.Conv2d(in_dim, dim, kernel, stride, padding=kernel // 2 if overlap else 0)
        self.norm = nn.LayerNorm(dim, eps=EMBED_EPS)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        x = self.proj(x)  # (B, C, H, W)
        h, w = x.shape[2:]
        return self.norm(x.flatten(2).transpose(1, 2)), h, w  # (B, N, C)


class AttentionProducts(nn.Module):
    """Queries (B, heads, N, d), keys and values (B, heads, M, d) -> softmax(q k^T / sqrt(d)) v, (B, heads, N, d)."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Spatial-reduction attention: keys and values come from a map `sr_ratio` times smaller per side.

    With `linear`, the map is average-pooled to 7x7 instead, at every stage, and passes a GELU. `moves` approximate:
    keys and values, or queries and all that follows from them, are averages over windows.
    """

    moves = BlockMoves()  # none; see `pvt_edge.models.table`

    def __init__(self, dim: int, heads: int, sr_ratio: int, linear: bool) -> None:
        super().__init__()
        self.heads, self.sr_ratio, self.linear = heads, sr_ratio, linear
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)  # rows: K then V
        self.products = AttentionProducts()
        self.proj = nn.Linear(dim, dim)
        if linear:
            self.sr = nn.Conv2d(dim, dim, 1)
        elif sr_ratio > 1:
            # no padding: rows and columns beyond a multiple of sr_ratio are dropped
            self.sr = nn.Conv2d(dim, dim, sr_ratio, sr_ratio)
        if self.reduces:
            self.norm = nn.LayerNorm(dim, eps=EMBED_EPS)

    @property
    def reduces(self) -> bool:
        """Whether keys and values come from a reduced map (not in stage 4 of the plain variants)."""
        return self.linear or self.sr_ratio > 1

    def reduce(self, x: Tensor, h: int, w: int) -> Tensor:
        """Key/value tokens (B, M, C) of tokens `x` (B, N, C)."""
        if self.reduces:
            grid = x.transpose(1, 2).unflatten(2, (h, w))  # (B, C, H, W)
            if self.linear:
                grid = F.adaptive_avg_pool2d(grid, LINEAR_POOL)
            grid = self.sr(grid)
            h, w = grid.shape[2:]
            x = self.norm(grid.flatten(2).transpose(1, 2))
            x = F.gelu(x) if self.linear else x
        return pool_tokens(x, h, w, self.moves.pool_keys)[0]

    def forward(self, x: Tensor, h: int, w: int) -> Tensor:
        queries, _, _ = pool_tokens(x, h, w, self.moves.pool_queries)
        q = self.q(queries).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, C/heads)
        kv = self.kv(self.reduce(x, h, w)).unflatten(2, (2, self.heads, -1))  # (B, M, 2, heads, C/heads)
        k, v = kv.permute(2, 0, 3, 1, 4)  # each (B, heads, M, C/heads)
        out = self.products(q, k, v)  # (B, heads, N, C/heads)
        out = self.proj(out.transpose(1, 2).flatten(2))  # (B, N, C)
        return spread_tokens(out, h, w, self.moves.pool_queries)


class Mlp(nn.Module):
    """fc1, depthwise 3x3 over the map (not in v1), exact GELU, fc2; a ReLU before the conv only in B2-Li.

    `moves` approximate: the whole of it on a map averaged over windows.
    """

    moves = BlockMoves()  # none; see `pvt_edge.models.table`

    def __init__(self, dim: int, ratio: int, linear: bool, convolve: bool = True) -> None:
        super().__init__()
        hidden = dim * ratio
        self.linear = linear
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden) if convolve else nn.Identity()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, h: int, w: int) -> Tensor:
        x, *small_hw = pool_tokens(x, h, w, self.moves.pool)
        x = self.fc1(x)  # (B, N, hidden)
        if self.linear:
            x = F.relu(x)
        if not isinstance(self.dwconv, nn.Identity):  # tokens of v1 may be more than a map's
            x = self.dwconv(x.transpose(1, 2).unflatten(2, small_hw)).flatten(2).transpose(1, 2)
        return spread_tokens(self.fc2(F.gelu(x)), h, w, self.moves.pool)


class DropPath(nn.Module):
    """Stochastic depth: drops a whole residual branch per sample with probability `rate` while training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.rate
        return x * keep.to(x.dtype) / (1.0 - self.rate)


class Block(nn.Module):
    """Pre-norm transformer block; a branch that its moves leave out is not computed."""

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_ratio: int,
        sr_ratio: int,
        linear: bool,
        drop_path: float,
        convolve: bool = True,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=BLOCK_EPS)
        self.attn = Attention(dim, heads, sr_ratio, linear)
        self.norm2 = nn.LayerNorm(dim, eps=BLOCK_EPS)
        self.mlp = Mlp(dim, mlp_ratio, linear, convolve)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, h: int, w: int) -> Tensor:
        if not self.attn.moves.leave_out:
            x = x + self.drop_path(self.attn(self.norm1(x), h, w))
        if not self.mlp.moves.leave_out:
            x = x + self.drop_path(self.mlp(self.norm2(x), h, w))
        return x


class Stage(nn.Module):
    """Patch embed, blocks and a final LayerNorm; the map it returns is normalised."""

    def __init__(self, patch_embed: PatchEmbed, blocks: list[Block], dim: int) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=BLOCK_EPS)

    def forward(self, x: Tensor) -> Tensor:
        x, h, w = self.patch_embed(x)
        for block in self.blocks:
            x = block(x, h, w)
        return self.norm(x).transpose(1, 2).unflatten(2, (h, w))  # (B, C, H, W)


def embed_norms(backbone: nn.Module) -> Iterator[nn.LayerNorm]:
    """See `Backbone.embed_norms`."""
    for module in backbone.modules():
        if isinstance(module, PatchEmbed) or (isinstance(module, Attention) and module.reduces):
            yield module.norm


def stage_blocks(variant: Variant, drop_path: float, convolve: bool = True) -> list[list[Block]]:
    """The blocks of every stage; `drop_path` is the rate of the last, the first has none."""
    rates = iter(torch.linspace(0, drop_path, sum(variant.depths), device="cpu").tolist())
    sizes = zip(variant.dims, variant.heads, variant.mlp_ratios, variant.sr_ratios, variant.depths, strict=True)
    return [
        [Block(dim, heads, ratio, sr_ratio, variant.linear, next(rates), convolve) for _ in range(depth)]
        for dim, heads, ratio, sr_ratio, depth in sizes
    ]


class PVTv2(Backbone):
    """Images (B, 3, H, W), RGB normalised -> four maps (B, C_i, H/2^(i+2), W/2^(i+2)), i = 0..3."""

    def __init__(self, variant: Variant, drop_path: float = 0.0) -> None:
        super().__init__()
        self.variant = variant
        stages, in_dim = [], 3
        for i, (dim, blocks) in enumerate(zip(variant.dims, stage_blocks(variant, drop_path), strict=True)):
            stages.append(Stage(PatchEmbed(in_dim, dim, stride=4 if i == 0 else 2), blocks, dim))
            in_dim = dim
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)

    def final_norm(self, *, pooled: bool = False) -> nn.LayerNorm:
        last = self.stages[-1]
        assert isinstance(last, Stage)
        return last.norm

    def embed_norms(self) -> Iterator[nn.LayerNorm]:
        return embed_norms(self)

    def block_norms(self) -> Iterator[nn.LayerNorm]:
        for module in self.modules():
            if isinstance(module, Block):
                yield from (module.norm1, module.norm2)
            elif isinstance(module, Stage):
                yield module.norm
