"""The models in a file: where their tensors lie in it, which are averages over training, and which one to take."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from pvt_edge.checkpoints import naming
from pvt_edge.checkpoints.dialects import Dialect
from pvt_edge.checkpoints.unpickling import StandIn
from pvt_edge.checkpoints.weight_files import refuse

_MOST_LEVELS = 8  # of mappings in mappings, and far more than any training script writes
_AVERAGED = frozenset(("ema", "swa", "teacher", "average", "averaged", "averaging", "avg", "shadow", "polyak"))
# In order of preference where a file holds several that are not averages.
_USUAL = (
    *("", "state_dict", "model_state_dict", "model", "module", "model_state", "net", "network", "weights", "params"),
    *("student", "online", "generator", "current_model_state"),
)


@dataclass(frozen=True)
class Candidate:
    """A PVT in a file.

    `entry` says where it lies, with dots between levels; empty for the file itself. `tensors` are those of its
    mapping, `apart` the names in it that belong to another candidate. `averaged`: its weights are a mean over
    training (EMA, SWA, a teacher's).
    """

    entry: str
    tensors: Mapping[str, Tensor]
    dialect: Dialect
    prefix: str
    averaged: bool
    apart: tuple[str, ...] = ()


def find_candidates(content: Any) -> list[Candidate]:
    """All PVT in what a file holds, in its order."""
    found = [candidate for entry, tensors in _tensor_mappings(content) for candidate in _in_mapping(entry, tensors)]
    entries = {candidate.entry: candidate for candidate in found}
    other = None
    if "current_model_state" in entries:  # Lightning's WeightAveraging exchanges the two when it saves
        other = "current_model_state"
    elif "steps" in getattr(entries.get("ema_state_dict"), "tensors", ()):  # mmengine's EMAHook does too
        other = "ema_state_dict"
    if other is None or "state_dict" not in entries:
        return found
    averaged = {"state_dict": True, other: False}
    return [replace(one, averaged=averaged.get(one.entry, one.averaged)) for one in found]


def choose(candidates: list[Candidate], ema: bool | None, path: Path) -> Candidate:
    """The one to load: the averages or, with `ema` False, the others; by default what the trainer itself evaluates.

    That is the averages wherever there are some, but for DeiT's scripts and their kin, which keep `model_ema` beside
    the `model` that they report. Raises `WeightsError` where there is nothing of the kind or no telling which.
    """
    averaged = [candidate for candidate in candidates if candidate.averaged]
    current = [candidate for candidate in candidates if not candidate.averaged]
    if ema is None:
        deit = {"model", "model_ema"} <= {candidate.entry.split(".")[0] for candidate in candidates}
        ema = bool(averaged) and not (deit and current)
    pool = averaged if ema else current
    if not pool:
        wanted, option = ("averaged", "--ema (ema=True") if ema else ("other than averaged", "--no-ema (ema=False")
        raise refuse(path, f"holds no {wanted} weights: leave {option} in Python) out")
    ranked = sorted(pool, key=_rank)
    if len(ranked) > 1 and not ema and _rank(ranked[0])[0] == len(_USUAL):
        names = ", ".join(candidate.entry or "the file itself" for candidate in ranked)
        raise refuse(path, f"holds {len(ranked)} models ({names}): save the one to load alone")
    return ranked[0]


def _rank(candidate: Candidate) -> tuple[int, int]:
    """Usual names first, then shallow ones."""
    first = candidate.entry.partition(".")[0]
    return (_USUAL.index(first) if first in _USUAL else len(_USUAL), candidate.entry.count("."))


def says_averaged(name: str) -> bool:
    """Whether a name such as `state_dict_ema` or `ema_model.` says that what it holds is an average.

    >>> says_averaged("model.ema_model"), says_averaged("model.schema")
    (True, False)
    """
    return not _AVERAGED.isdisjoint(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def tensors_of_module(value: Any, levels: int = 50) -> dict[str, Tensor]:
    """The state_dict of a whole pickled module; empty for anything else."""
    state = value.state if isinstance(value, StandIn) else None
    if not levels or not isinstance(state, Mapping) or not isinstance(state.get("_modules"), Mapping):
        return {}
    own = [state.get(kind) for kind in ("_parameters", "_buffers")]
    tensors = {k: v for part in own if isinstance(part, Mapping) for k, v in part.items() if isinstance(v, Tensor)}
    for name, module in state["_modules"].items():
        tensors |= {f"{name}.{key}": tensor for key, tensor in tensors_of_module(module, levels - 1).items()}
    return tensors


def _tensor_mappings(
    content: Any, entry: str = "", levels: int = _MOST_LEVELS
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(entry, tensors) of every mapping and whole module in `content` that holds tensors of its own."""
    if module := tensors_of_module(content):
        yield entry, module
    elif isinstance(content, Mapping) and levels:
        if own := {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}:
            yield entry, own
        for key, value in content.items():
            if isinstance(key, str) and isinstance(value, Mapping):
                yield from _tensor_mappings(value, _joined(entry, key), levels - 1)


def _in_mapping(entry: str, tensors: dict[str, Tensor]) -> Iterator[Candidate]:
    """The models of one mapping: one, or an average and a current one under prefixes of their own."""
    found = naming.detect_all(tensors)
    if not found:
        return
    (dialect, prefix), *more = found
    by_root = {naming.root_of(prefix): (dialect, prefix)}
    for one in more:  # two that are both current may be parts of one model: that is for the loader to judge
        if says_averaged(one[1]) != says_averaged(prefix):
            by_root.setdefault(naming.root_of(one[1]), one)
    names_of = _names_by_root(tensors, by_root)
    flat = {name: f"ema_{name.replace('.', '_')}" for name in tensors}  # mmcv's EMAHook keeps the current ones so
    exchanged = {name: other for name, other in flat.items() if other in tensors}
    for root, (row, start) in by_root.items():
        apart = {n for other in by_root if other != root for n in names_of[other]} | set(exchanged.values())
        yield Candidate(
            entry=_joined(entry, root.rstrip(".") if len(by_root) > 1 else ""),
            tensors={name: tensor for name, tensor in tensors.items() if name not in apart},
            dialect=row,
            prefix=start,
            averaged=says_averaged(f"{entry}.{start}") or "n_averaged" in tensors or bool(exchanged),
            apart=tuple(name for name in tensors if name in apart),
        )
    if exchanged:
        values = {name: tensors[other] for name, other in exchanged.items()}
        yield Candidate(_joined(entry, "ema_*"), values, dialect, prefix, averaged=False, apart=tuple(exchanged))


def _names_by_root(names: Collection[str], roots: Collection[str]) -> dict[str, set[str]]:
    """The names that begin with each root; what lies under a longer root is not the shorter one's."""
    found: dict[str, set[str]] = {}
    taken: set[str] = set()
    for root in sorted(roots, key=len, reverse=True):
        found[root] = {name for name in names if name.startswith(root)} - taken
        taken |= found[root]
    return found


def _joined(entry: str, part: str) -> str:
    return ".".join(name for name in (entry, part) if name)
