"""All tensors of a file, from a dialect to ours and back: names, q/k/v layout, fully connected layers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt

import torch
from torch import Tensor

from pvt_edge.checkpoints import naming
from pvt_edge.checkpoints.dialects import Dialect, get_dialect
from pvt_edge.checkpoints.dialects.dialect import SEGMENTER_NECK
from pvt_edge.checkpoints.naming import BACKBONE
from pvt_edge.errors import WeightsError

_LEAVES = ("weight", "bias")
_LINEARS = ("mlp.fc1.weight", "mlp.fc2.weight")
_LAST_POSITIONS = f"{BACKBONE}stages.3.pos_embed"
_TOKEN, _TOKEN_POSITION = f"{BACKBONE}cls_token", f"{BACKBONE}cls_pos"


@dataclass
class Translation:
    """A file in our names: backbone tensors under `backbone.`, a head under `head.`, a neck under `neck.`.

    `sources` tells the file's names of each of ours, `unexpected` those that the dialect does not know,
    `reshaped` our names whose values the file stores in another shape.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)

    def replace(self, old: tuple[str, ...], new: Mapping[str, Tensor]) -> None:
        """Put tensors `new` in the place of those called `old`, and count them as reshaped."""
        for name in old:
            del self.tensors[name]
        sources = tuple(source for name in old for source in self.sources.pop(name))
        for name, tensor in new.items():
            self.tensors[name], self.sources[name] = tensor, sources
            self.reshaped.append(name)


def to_native(tensors: Mapping[str, Tensor], dialect: Dialect, prefix: str = "") -> Translation:
    """`tensors` of `dialect`, whose backbone's names begin with `prefix`, in our names and shapes."""
    root, result = naming.root_of(prefix), Translation()
    for source, tensor in tensors.items():
        ours = _our_name(source, dialect, prefix, root)
        if ours is None or ours in result.tensors:
            result.unexpected.append(source)
        else:
            result.tensors[ours], result.sources[ours] = tensor, (source,)
    if dialect.qkv == "q+k+v":
        _join_key_value(result)
    elif dialect.qkv == "in_proj":
        _split_in_proj(result)
    if dialect.positions and not dialect.native:
        _split_positions(result)
    if any(name.startswith("head.scale.") for name in result.tensors):
        _move_neck(result)
    for name, tensor in list(result.tensors.items()):
        if name.endswith(_LINEARS) and tensor.ndim == 4 and tensor.shape[2:] == (1, 1):
            result.replace((name,), {name: tensor.flatten(1)})
    return result


def _our_name(source: str, dialect: Dialect, prefix: str, root: str) -> str | None:
    if source.startswith(prefix):
        if ours := naming.backbone_to_ours(source[len(prefix) :], dialect):
            return BACKBONE + ours
        if ours := naming.head_to_ours(source[len(prefix) :], dialect):
            return ours
    return naming.head_to_ours(source[len(root) :], dialect) if source.startswith(root) else None


def _move_neck(result: Translation) -> None:
    """Semantic FPN's neck into the segmenter's head, where ours has it."""
    for tensors in (result.tensors, result.sources):
        for name in list(tensors):
            for neck, head in SEGMENTER_NECK:
                if name.startswith(f"{neck}."):
                    tensors[name.replace(neck, head, 1)] = tensors.pop(name)  # type: ignore[assignment]


def _parts(result: Translation, part: str) -> list[tuple[str, str]]:
    """(attention's name, leaf) of each tensor called `part` of an attention, such as attn.k."""
    ends = [(f".{part}.{leaf}", leaf) for leaf in _LEAVES]
    return [(name.removesuffix(end), leaf) for name in result.tensors for end, leaf in ends if name.endswith(end)]


def _join_key_value(result: Translation) -> None:
    """k, v (C, C) each -> kv (2C, C), K rows first. A k or v alone stays, and so counts as unexpected."""
    for block, leaf in _parts(result, "attn.k"):
        names = (f"{block}.attn.k.{leaf}", f"{block}.attn.v.{leaf}")
        k, v = (result.tensors.get(name) for name in names)
        if k is not None and v is not None and k.ndim and k.shape == v.shape and k.dtype == v.dtype:
            result.replace(names, {f"{block}.attn.kv.{leaf}": torch.cat((k, v))})


def _split_in_proj(result: Translation) -> None:
    """in_proj (3C, C) -> q (C, C), its first rows, and kv (2C, C). One not in thirds stays as it is."""
    for block, leaf in _parts(result, "attn.qkv"):
        name = f"{block}.attn.qkv.{leaf}"
        rows = result.tensors[name]
        if rows.ndim and rows.shape[0] % 3 == 0:
            dim = rows.shape[0] // 3
            result.replace((name,), {f"{block}.attn.q.{leaf}": rows[:dim], f"{block}.attn.kv.{leaf}": rows[dim:]})


def _split_positions(result: Translation) -> None:
    """Stage 4's positions (1, 1 + G*G, C) -> those of the map, and that of the class token where there is one.

    A table whose rows make a square has no class token's.
    """
    table = result.tensors.get(_LAST_POSITIONS)
    if table is None or table.ndim != 3 or isqrt(table.shape[1]) ** 2 == table.shape[1]:
        return
    rows = {_LAST_POSITIONS: table[:, 1:]}
    if _TOKEN in result.tensors:
        rows[_TOKEN_POSITION] = table[:, :1]
    result.replace((_LAST_POSITIONS,), rows)


def from_native(
    tensors: Mapping[str, Tensor], dialect: str, container: str = "", family: str = "pvt-v2"
) -> dict[str, Tensor]:
    """Our state_dict `tensors` in the names and shapes of `dialect`, the backbone's under `container`.

    Takes that of any of our models (PVTv2's own has no `backbone.`); `WeightsError` where the dialect
    cannot say it: batch norm in a detection head, linear attention in mmdet.
    """
    row, result = get_dialect(dialect, family), {}
    whole = any(name.startswith(BACKBONE) for name in tensors)
    if not row.has_linear and any(name.endswith("stages.3.blocks.0.attn.sr.weight") for name in tensors):
        raise WeightsError(f"the {dialect} dialect has no linear attention, so b2-li cannot be written in it")
    for name, tensor in _in_layout(tensors, row).items():
        if name.startswith(BACKBONE) or not whole:
            theirs = naming.backbone_to_theirs(name.removeprefix(BACKBONE), row)
            theirs = theirs and container + theirs
        else:
            theirs = naming.head_to_theirs(name, row)
        if theirs is None:
            raise WeightsError(f"the {dialect} dialect has no name for {name}")
        result[theirs] = tensor
    return result


def _in_layout(tensors: Mapping[str, Tensor], dialect: Dialect) -> dict[str, Tensor]:
    """`tensors` under our names, but q, k, v and the linears as `dialect` stores them."""
    result: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        block, _, leaf = name.rpartition(".attn.kv.")
        if block and dialect.qkv == "q+k+v":
            result[f"{block}.attn.k.{leaf}"], result[f"{block}.attn.v.{leaf}"] = tensor.chunk(2)
        elif block and dialect.qkv == "in_proj":
            result[f"{block}.attn.qkv.{leaf}"] = torch.cat((tensors[f"{block}.attn.q.{leaf}"], tensor))
        elif ".attn.q." in name and dialect.qkv == "in_proj":
            continue  # written with its kv
        elif name.endswith("cls_pos") and not dialect.native:
            continue  # written with the positions of its stage
        elif name.endswith("stages.3.pos_embed") and not dialect.native and not dialect.conv_fc:
            first = tensors.get(name.replace("stages.3.pos_embed", "cls_pos"), tensor[:, :1] * 0)
            result[name] = torch.cat((first, tensor), dim=1)
        elif dialect.conv_fc and name.endswith(_LINEARS):
            result[name] = tensor[:, :, None, None]
        else:
            result[name] = tensor
    return result
