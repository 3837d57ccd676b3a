"""How others name PVT-v2's tensors, as a table that is read in both directions.

A template holds numbers in braces: {s} stage, {b} block, {i} and {j} positions. A tensor's own last name
(weight, bias) follows after a dot, or directly where the template ends in an underscore.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Pair = tuple[str, str]  # (our template, theirs)

# Ours, in the order of every `block_parts`; q, k and v lie in one to three tensors and are named apart.
_BLOCK = ("norm1", "norm2", "attn.proj", "attn.sr", "attn.norm", "mlp.fc1", "mlp.dwconv", "mlp.fc2")

_DETECTOR = (
    ("neck.lateral.{i}", "neck.lateral_convs.{i}.conv"),
    ("neck.output.{i}", "neck.fpn_convs.{i}.conv"),
    ("head.cls.{i}.conv", "bbox_head.cls_convs.{i}.conv"),
    ("head.reg.{i}.conv", "bbox_head.reg_convs.{i}.conv"),
    ("head.cls_out", "bbox_head.retina_cls"),
    ("head.reg_out", "bbox_head.retina_reg"),
)


@dataclass(frozen=True)
class Dialect:
    """One way to name and lay out the tensors.

    `stem` and `embed` prefix the patch embed of stage 1 and of the others, `embed_parts` names its proj and
    norm; `block` prefixes a block, `block_parts` its eight common parts, `attn_parts` those of q, k and v.
    `embed_eps` is LayerNorm's epsilon after patch embeds and spatial reductions, `block_eps` everywhere else;
    None leaves it to the file's metadata. `conv_fc`: fc1 and fc2 are 1x1 convolutions.
    """

    name: str
    marker: str
    stem: str
    embed: str
    embed_parts: tuple[str, str]
    block: str
    block_parts: tuple[str, ...]
    attn_parts: tuple[Pair, ...]
    qkv: Literal["q+kv", "q+k+v", "in_proj"]
    stage_norm: str
    embed_eps: float | None
    block_eps: float | None
    classifier: str = "head"
    detector: tuple[Pair, ...] = _DETECTOR
    first_stage: int = 0
    conv_fc: bool = False
    has_linear: bool = True

    @cached_property
    def backbone_pairs(self) -> tuple[Pair, ...]:
        """All template pairs of the backbone; the stem comes before the general patch embed."""
        pairs = []
        for ours, theirs in zip(("proj", "norm"), self.embed_parts, strict=True):
            pairs.append((f"stages.0.patch_embed.{ours}", f"{self.stem}.{theirs}"))
            pairs.append((f"stages.{{s}}.patch_embed.{ours}", f"{self.embed}.{theirs}"))
        for ours, theirs in (*zip(_BLOCK, self.block_parts, strict=True), *self.attn_parts):
            pairs.append((f"stages.{{s}}.blocks.{{b}}.{ours}", f"{self.block}.{theirs}"))
        return (*pairs, ("stages.{s}.norm", self.stage_norm))

    @cached_property
    def head_pairs(self) -> tuple[Pair, ...]:
        """Template pairs of the classifier's head and of the detector's neck and head."""
        return (("head", self.classifier), *self.detector)


_Q_KV = (("attn.q", "attn.q"), ("attn.kv", "attn.kv"))

NATIVE = Dialect(
    name="native",
    marker="stages.0.patch_embed.proj.weight",
    stem="stages.0.patch_embed",
    embed="stages.{s}.patch_embed",
    embed_parts=("proj", "norm"),
    block="stages.{s}.blocks.{b}",
    block_parts=_BLOCK,
    attn_parts=_Q_KV,
    qkv="q+kv",
    stage_norm="stages.{s}.norm",
    embed_eps=None,
    block_eps=None,
    detector=(
        *((ours, ours) for ours, _ in _DETECTOR),
        ("head.cls.{i}.norms.{j}", "head.cls.{i}.norms.{j}"),
        ("head.reg.{i}.norms.{j}", "head.reg.{i}.norms.{j}"),
    ),
)

OFFICIAL = Dialect(  # github.com/whai362/PVT, classification and detection
    name="official",
    marker="patch_embed1.proj.weight",
    stem="patch_embed1",
    embed="patch_embed{s}",
    embed_parts=("proj", "norm"),
    block="block{s}.{b}",
    block_parts=(
        *("norm1", "norm2", "attn.proj", "attn.sr", "attn.norm"),
        *("mlp.fc1", "mlp.dwconv.dwconv", "mlp.fc2"),
    ),
    attn_parts=_Q_KV,
    qkv="q+kv",
    stage_norm="norm{s}",
    embed_eps=1e-5,
    block_eps=1e-6,
    first_stage=1,
)

TIMM = Dialect(  # timm/models/pvt_v2.py
    name="timm",
    marker="stages.1.downsample.proj.weight",
    stem="patch_embed",
    embed="stages.{s}.downsample",
    embed_parts=("proj", "norm"),
    block="stages.{s}.blocks.{b}",
    block_parts=_BLOCK,
    attn_parts=_Q_KV,
    qkv="q+kv",
    stage_norm="stages.{s}.norm",
    embed_eps=1e-5,
    block_eps=1e-6,
)

MMDET = Dialect(  # mmdet 3.3 PyramidVisionTransformerV2, which has no linear attention
    name="mmdet",
    marker="layers.0.0.projection.weight",
    stem="layers.0.0",
    embed="layers.{s}.0",
    embed_parts=("projection", "norm"),
    block="layers.{s}.1.{b}",
    block_parts=(
        *("norm1", "norm2", "attn.attn.out_proj", "attn.sr", "attn.norm"),
        *("ffn.layers.0", "ffn.layers.1", "ffn.layers.4"),
    ),
    attn_parts=(("attn.qkv", "attn.attn.in_proj_"),),
    qkv="in_proj",
    stage_norm="layers.{s}.2",
    embed_eps=1e-6,
    block_eps=1e-6,
    conv_fc=True,
    has_linear=False,
)

TRANSFORMERS = Dialect(  # transformers' modeling_pvt_v2.py: every LayerNorm takes config.layer_norm_eps, 1e-6
    name="transformers",
    marker="layers.0.patch_embedding.proj.weight",
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
    qkv="q+k+v",
    stage_norm="layers.{s}.layer_norm",
    embed_eps=1e-6,
    block_eps=1e-6,
    classifier="classifier",
)

DIALECTS = {dialect.name: dialect for dialect in (NATIVE, OFFICIAL, TIMM, MMDET, TRANSFORMERS)}
