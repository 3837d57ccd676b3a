"""How libraries name PVT v2's tensors."""

from typing import Any

from pvt_edge.checkpoints.dialects.dialect import (
    NATIVE,
    NATIVE_HEADS,
    Dialect,
    Pair,
    heads_of,
    register_dialect,
    segmenters_of,
)

# Ours, in the order of every row's `block_parts`; q, k and v lie in one to three tensors and are named apart.
_BLOCK = ("norm1", "norm2", "attn.proj", "attn.sr", "attn.norm", "mlp.fc1", "mlp.dwconv", "mlp.fc2")
_Q_KV = (("attn.q", "attn.q"), ("attn.kv", "attn.kv"))


def _row(
    name: str,
    marker: str,
    *,
    stem: str,
    embed: str,
    block: str,
    stage_norm: str,
    embed_parts: tuple[str, str] = ("proj", "norm"),
    block_parts: tuple[str, ...] = _BLOCK,
    attn_parts: tuple[Pair, ...] = _Q_KV,
    **rest: Any,
) -> Dialect:
    """A dialect by its prefixes: `stem` of the first patch embed, `embed` of the others, `block` of a block."""
    pairs = []
    for ours, theirs in zip(("proj", "norm"), embed_parts, strict=True):
        pairs.append((f"stages.0.patch_embed.{ours}", f"{stem}.{theirs}"))
        pairs.append((f"stages.{{s}}.patch_embed.{ours}", f"{embed}.{theirs}"))
    for ours, theirs in (*zip(_BLOCK, block_parts, strict=True), *attn_parts):
        pairs.append((f"stages.{{s}}.blocks.{{b}}.{ours}", f"{block}.{theirs}"))
    return Dialect(name, "pvt-v2", marker, (*pairs, ("stages.{s}.norm", stage_norm)), **rest)


register_dialect(
    _row(
        NATIVE,
        "stages.0.patch_embed.proj.weight",
        stem="stages.0.patch_embed",
        embed="stages.{s}.patch_embed",
        block="stages.{s}.blocks.{b}",
        stage_norm="stages.{s}.norm",
        qkv="q+kv",
        embed_eps=None,
        block_eps=None,
        heads=NATIVE_HEADS,
    )
)
register_dialect(
    _row(  # github.com/whai362/PVT, classification and detection
        "official",
        "patch_embed1.proj.weight",
        stem="patch_embed1",
        embed="patch_embed{s}",
        block="block{s}.{b}",
        block_parts=(
            *("norm1", "norm2", "attn.proj", "attn.sr", "attn.norm"),
            *("mlp.fc1", "mlp.dwconv.dwconv", "mlp.fc2"),
        ),
        stage_norm="norm{s}",
        qkv="q+kv",
        embed_eps=1e-5,
        block_eps=1e-6,
        first_stage=1,
    )
)
register_dialect(
    _row(  # timm/models/pvt_v2.py
        "timm",
        "stages.1.downsample.proj.weight",
        stem="patch_embed",
        embed="stages.{s}.downsample",
        block="stages.{s}.blocks.{b}",
        stage_norm="stages.{s}.norm",
        qkv="q+kv",
        embed_eps=1e-5,
        block_eps=1e-6,
    )
)
register_dialect(
    _row(  # the same with features_only=True, which has its stages one by one; so do encoders of other libraries
        "timm-features",
        "stages_1.downsample.proj.weight",
        stem="patch_embed",
        embed="stages_{s}.downsample",
        block="stages_{s}.blocks.{b}",
        stage_norm="stages_{s}.norm",
        qkv="q+kv",
        embed_eps=1e-5,
        block_eps=1e-6,
    )
)
register_dialect(
    _row(  # mmdet 3.3 PyramidVisionTransformerV2, which has no linear attention
        "mmdet",
        "layers.0.0.projection.weight",
        stem="layers.0.0",
        embed="layers.{s}.0",
        embed_parts=("projection", "norm"),
        block="layers.{s}.1.{b}",
        block_parts=(
            *("norm1", "norm2", "attn.attn.out_proj", "attn.sr", "attn.norm"),
            *("ffn.layers.0", "ffn.layers.1", "ffn.layers.4"),
        ),
        attn_parts=(("attn.qkv", "attn.attn.in_proj_"),),
        stage_norm="layers.{s}.2",
        qkv="in_proj",
        embed_eps=1e-6,
        block_eps=1e-6,
        conv_fc=True,
        has_linear=False,
    )
)
register_dialect(
    _row(  # transformers' modeling_pvt_v2.py: every LayerNorm takes config.layer_norm_eps, 1e-6
        "transformers",
        "layers.0.patch_embedding.proj.weight",
        stem="layers.0.patch_embedding",
        embed="layers.{s}.patch_embedding",
        embed_parts=("proj", "layer_norm"),
        block="layers.{s}.blocks.{b}",
        block_parts=(
            *("layer_norm_1", "layer_norm_2", "attention.proj"),
            *("attention.spatial_reduction", "attention.layer_norm"),
            *("mlp.dense1", "mlp.dwconv.dwconv", "mlp.dense2"),
        ),
        attn_parts=(("attn.q", "attention.query"), ("attn.k", "attention.key"), ("attn.v", "attention.value")),
        stage_norm="layers.{s}.layer_norm",
        qkv="q+k+v",
        embed_eps=1e-6,
        block_eps=1e-6,
        heads=heads_of("classifier", segmenters_of("batch_norm", "classifier")),
    )
)
