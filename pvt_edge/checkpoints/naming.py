"""One tensor's name, from theirs to ours and back, by a dialect's templates."""

import re
from collections.abc import Iterable, Mapping
from functools import cache

from pvt_edge.checkpoints.dialects import DIALECTS, Dialect, Pair

BACKBONE = "backbone."  # our whole models keep the backbone's tensors under this name

# Where libraries put a backbone inside a whole model; a head lies beside the container, not in it.
_CONTAINERS = ("pvt_v2.encoder.", "pvt.encoder.", "backbone.encoder.", "encoder.model.", "encoder.", "backbone.")

_POSITIONS = ("pos_embed", "position_embeddings")

_LEAF = "(?P<leaf>[a-z_]+)"
_NUMBER = "0|[1-9][0-9]*"


@cache
def _compile(template: str) -> re.Pattern[str]:
    """The pattern of full names that `template` stands for, with its numbers and `leaf` as groups."""
    pattern = re.sub(r"\\{(\w)\\}", rf"(?P<\1>{_NUMBER})", re.escape(template.removesuffix("=")))
    if template.endswith("="):
        return re.compile(pattern)
    dot = "" if template.endswith("_") else r"\."
    return re.compile(pattern + dot + _LEAF)


def _fill(template: str, groups: dict[str, str], shifts: Mapping[str, int]) -> str:
    numbers = {k: int(v) + shifts.get(k, 0) for k, v in groups.items() if k != "leaf"}
    name = template.removesuffix("=").format(**numbers)
    if template.endswith("="):
        return name
    return name + ("" if template.endswith("_") else ".") + groups["leaf"]


def _map_name(name: str, pairs: Iterable[Pair], shifts: Mapping[str, int]) -> str | None:
    for source, target in pairs:
        if match := _compile(source).fullmatch(name):
            return _fill(target, match.groupdict(), shifts)
    return None


def backbone_to_ours(name: str, dialect: Dialect) -> str | None:
    """Our name (without `backbone.`) of their backbone tensor `name`; None if it is not one.

    >>> backbone_to_ours("block1.0.mlp.dwconv.dwconv.bias", get_dialect("official"))
    'stages.0.blocks.0.mlp.dwconv.bias'
    """
    pairs = ((theirs, ours) for ours, theirs in dialect.backbone)
    return _map_name(name, pairs, {"s": -dialect.first_stage, "b": -dialect.first_block})


def head_to_ours(name: str, dialect: Dialect) -> str | None:
    """Our name of their neck or head tensor `name`; None if it is not one."""
    return _map_name(name, ((theirs, ours) for ours, theirs in dialect.heads), {})


def backbone_to_theirs(name: str, dialect: Dialect) -> str | None:
    """Their name of our backbone tensor `name` (without `backbone.`); None if the dialect has none."""
    return _map_name(name, dialect.backbone, {"s": dialect.first_stage, "b": dialect.first_block})


def head_to_theirs(name: str, dialect: Dialect) -> str | None:
    """Their name of our neck or head tensor `name`; None if the dialect has none."""
    return _map_name(name, dialect.heads, {})


def detect_all(names: Iterable[str]) -> list[tuple[Dialect, str]]:
    """Each (dialect, prefix of the backbone) that `names` hold, the shortest prefix first."""
    names = list(names)
    placed = [name for name in names if name.rpartition(".")[2].startswith(_POSITIONS)]
    found = []
    for name in names:
        for dialect in DIALECTS:
            prefix = name.removesuffix(dialect.marker)
            if prefix == name or (prefix and not prefix.endswith(".")):
                continue
            if dialect.positions == any(one.startswith(prefix) for one in placed):
                found.append((dialect, prefix))
    return sorted(found, key=lambda pair: len(pair[1]))


def detect(names: Iterable[str]) -> tuple[Dialect, str] | None:
    """The dialect that `names` are in and the prefix of its backbone; None if no marker is among them."""
    return next(iter(detect_all(names)), None)


def root_of(prefix: str) -> str:
    """The prefix of the whole model whose backbone has `prefix`.

    >>> root_of("module.pvt_v2.encoder.")
    'module.'
    """
    for container in _CONTAINERS:
        if prefix == container or prefix.endswith("." + container):
            return prefix.removesuffix(container)
    return prefix
