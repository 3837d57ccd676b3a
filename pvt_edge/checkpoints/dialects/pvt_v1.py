"""How libraries name PVT v1's tensors. timm has no PVT v1.

All but OpenMMLab keep the place of the class token as the first row of stage 4's positions, whether or not the model
has such a token.
"""

from typing import Any

from pvt_edge.checkpoints.dialects.dialect import NATIVE, NATIVE_HEADS, Dialect, Pair, heads_of, register_dialect

# Ours, in the order of every row's `block_parts`
_BLOCK = ("norm1", "norm2", "attn.proj", "attn.sr", "attn.norm", "mlp.fc1", "mlp.fc2")
_Q_KV = (("attn.q", "attn.q"), ("attn.kv", "attn.kv"))


def _row(
    name: str,
    marker: str,
    *,
    embed: str,
    embed_parts: tuple[str, str],
    positions: str,
    block: str,
    block_parts: tuple[str, ...],
    attn_parts: tuple[Pair, ...],
    token: str = "",
    norm: str = "",
    **rest: Any,
) -> Dialect:
    """A dialect by its prefixes: `embed` of a patch embed, `block` of a block; empty for what it has not."""
    ours_parts = ("proj", "norm")
    pairs = [
        (f"stages.{{s}}.patch_embed.{ours}", f"{embed}.{theirs}")
        for ours, theirs in zip(ours_parts, embed_parts, strict=True)
    ]
    pairs.append(("stages.{s}.pos_embed=", f"{positions}="))
    for ours, theirs in (*zip(_BLOCK, block_parts, strict=True), *attn_parts):
        pairs.append((f"stages.{{s}}.blocks.{{b}}.{ours}", f"{block}.{theirs}"))
    pairs += [("cls_token=", f"{token}=")] if token else []
    pairs += [("cls_pos=", "cls_pos=")] if name == NATIVE else []
    pairs += [("norm", norm)] if norm else []
    return Dialect(name, "pvt-v1", marker, tuple(pairs), positions=True, **rest)


register_dialect(
    _row(
        NATIVE,
        "stages.0.patch_embed.proj.weight",
        embed="stages.{s}.patch_embed",
        embed_parts=("proj", "norm"),
        positions="stages.{s}.pos_embed",
        block="stages.{s}.blocks.{b}",
        block_parts=_BLOCK,
        attn_parts=_Q_KV,
        token="cls_token",
        norm="norm",
        qkv="q+kv",
        embed_eps=None,
        block_eps=None,
        heads=NATIVE_HEADS,
    )
)
register_dialect(
    _row(  # github.com/whai362/PVT, classification, detection and segmentation
        "official",
        "patch_embed1.proj.weight",
        embed="patch_embed{s}",
        embed_parts=("proj", "norm"),
        positions="pos_embed{s}",
        block="block{s}.{b}",
        block_parts=_BLOCK,
        attn_parts=_Q_KV,
        token="cls_token",
        norm="norm",
        qkv="q+kv",
        embed_eps=1e-5,
        block_eps=1e-6,
        first_stage=1,
    )
)
register_dialect(
    _row(  # mmdet 3.3 PyramidVisionTransformer: the positions are the first of a stage's layers
        "mmdet",
        "layers.0.0.projection.weight",
        embed="layers.{s}.0",
        embed_parts=("projection", "norm"),
        positions="layers.{s}.1.0.pos_embed",
        block="layers.{s}.1.{b}",
        block_parts=(
            *("norm1", "norm2", "attn.attn.out_proj", "attn.sr", "attn.norm"),
            *("ffn.layers.0", "ffn.layers.3"),
        ),
        attn_parts=(("attn.qkv", "attn.attn.in_proj_"),),
        qkv="in_proj",
        embed_eps=1e-6,
        block_eps=1e-6,
        first_block=1,
        conv_fc=True,
    )
)
register_dialect(
    _row(  # transformers' modeling_pvt.py: every LayerNorm takes config.layer_norm_eps, 1e-6
        "transformers",
        "patch_embeddings.0.projection.weight",
        embed="patch_embeddings.{s}",
        embed_parts=("projection", "layer_norm"),
        positions="patch_embeddings.{s}.position_embeddings",
        block="block.{s}.{b}",
        block_parts=(
            *("layer_norm_1", "layer_norm_2", "attention.output.dense"),
            *("attention.self.sequence_reduction", "attention.self.layer_norm"),
            *("mlp.dense1", "mlp.dense2"),
        ),
        attn_parts=(
            ("attn.q", "attention.self.query"),
            ("attn.k", "attention.self.key"),
            ("attn.v", "attention.self.value"),
        ),
        token="patch_embeddings.3.cls_token",
        norm="layer_norm",
        qkv="q+k+v",
        embed_eps=1e-6,
        block_eps=1e-6,
        heads=heads_of("classifier"),
    )
)
