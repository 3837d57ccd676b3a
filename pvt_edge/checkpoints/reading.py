"""Tensors out of a file, and what it says beside them, without running anything that it may hold."""

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pvt_edge.checkpoints import unpickling
from pvt_edge.checkpoints.candidates import choose, find_candidates, tensors_of_module
from pvt_edge.checkpoints.unpickling import StandIn, plain_values
from pvt_edge.checkpoints.weight_files import FileKind, file_kind, first_few, refuse, shards_of, weight_file
from pvt_edge.errors import WeightsError

_MEND = "convert it to safetensors, or save its state_dict alone, from a copy that you trust"
_ENVELOPES = ("state_dict", "model_state_dict", "model", "module")


def unpickle(path: Path) -> Any:
    """What the pickle at `path` holds, objects beside the tensors as `StandIn`s.

    torch's `weights_only=True` reads what it can; what it refuses is read by `unpickling`. Raises `WeightsError` for
    a file that calls for the system, holds TorchScript or nothing but objects.
    """
    try:
        # DeiT-like training scripts, the official one too, save their argparse options beside the model
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses at the file's kind, which the errors below tell
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError as error:
                refused = error
            try:
                content = torch.load(path, map_location="cpu", weights_only=False, pickle_module=unpickling)
            except pickle.UnpicklingError as error:
                raise _holds_objects(path, error if "GLOBAL" in str(error) else refused) from error
            except Exception as error:
                raise _holds_objects(path, refused) from error
    except RuntimeError as error:
        if "TorchScript" not in str(error):
            raise
        raise refuse(path, f"is a TorchScript archive, which holds code: {_MEND}") from error
    if not isinstance(content, Mapping) or (isinstance(content, StandIn) and not tensors_of_module(content)):
        raise _holds_objects(path, refused)
    return content


def _holds_objects(path: Path, error: Exception) -> WeightsError:
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f" ({named[1]})" if named else ""
    return refuse(path, f"holds code or objects that are not tensors{what}, none of which was run: {_MEND}")


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by the names that the file gives them, and what it says beside them.

    `metadata` are a safetensors file's texts. `extras` are a pickle's plain values under their names: numbers, texts,
    lists, tuples and dicts, such as "epoch", "args", "meta" or "hyper_parameters"; namespaces and configuration
    objects are dicts, and what is no plain value is missing. `path` is the file that was read: the one found where a
    folder was given, an index where the model lies in shards. `entry` says where in the file the tensors lie (empty:
    all of it) and `averaged` whether they are a mean over training; `others` are the entries of other models in the
    file, `apart` the names of tensors that are another's although they lie in the same entry.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    path: Path
    extras: Mapping[str, Any] = field(default_factory=dict)
    entry: str = ""
    averaged: bool = False
    others: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    @property
    def which(self) -> str:
        """Which of several models this is; empty where there is nothing to tell apart."""
        if not self.averaged and not self.others:
            return ""
        kind = "averaged (EMA) weights" if self.averaged else "weights that are not averaged"
        return f"{kind} of {self.entry}" if self.entry else kind


def read_checkpoint(path: str | PathLike[str], *, ema: bool | None = None) -> Checkpoint:
    """The tensors of a .safetensors, .pth, .pt or .bin file, of all shards of a model, or of the file in a folder.

    The file's kind is found by its content. Of several models in it, `ema` takes the averaged weights (True) or the
    others (False); None those that the training script itself evaluates. Raises `WeightsError` for a file that cannot
    be read or that holds something else; code in it is never run.
    """
    path = Path(path)
    try:
        path = weight_file(path)
        content, metadata = _read(path)
        extras = plain_values(content)
        candidates = find_candidates(content)
        if not candidates:  # no PVT, which is for whoever wants one to say
            return Checkpoint(_checked(path, _unwrap(content)), metadata, path, extras)
        taken = choose(candidates, ema, path)
        return Checkpoint(
            tensors=_checked(path, taken.tensors),
            metadata=metadata,
            path=path,
            extras=extras,
            entry=taken.entry,
            averaged=taken.averaged,
            others=tuple(candidate.entry for candidate in candidates if candidate is not taken),
            apart=taken.apart,
        )
    except WeightsError:
        raise
    except OSError as error:
        raise refuse(path, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the one boundary: the readers raise a dozen types on damaged files
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise refuse(path, f"is truncated, damaged or no checkpoint ({reason}): download or copy it again") from error


def _read(path: Path) -> tuple[Any, dict[str, str]]:
    """(content, metadata) of a file, or of all shards of the model that it is a shard or the index of."""
    if shards := shards_of(path) if path.exists() else None:
        tensors: dict[str, Tensor] = {}
        for shard in shards:
            tensors |= _checked(shard, _unwrap(_read_file(shard)[0]))
        return tensors, {}
    return _read_file(path)


def _read_file(path: Path) -> tuple[Any, dict[str, str]]:
    if file_kind(path) is FileKind.SAFETENSORS:
        return _read_safetensors(path)
    return unpickle(path), {}


def _read_safetensors(path: Path) -> tuple[Any, dict[str, str]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no mapping)


def _unwrap(content: Any) -> Any:
    """The state_dict inside `content` that holds no PVT, whatever training scripts have put around it."""
    for _ in _ENVELOPES:
        inner = [content[key] for key in _ENVELOPES if key in content] if isinstance(content, Mapping) else []
        if not inner or not isinstance(inner[0], Mapping):
            break
        content = inner[0]
    return tensors_of_module(content) or content


def _checked(path: Path, content: Any) -> dict[str, Tensor]:
    """The tensors of `content`; `WeightsError` unless it maps names to plain tensors on the CPU."""
    if not isinstance(content, Mapping):
        raise refuse(path, f"holds a {type(content).__name__}, not a dict of tensors: save a model's state_dict")
    tensors = {k: v.detach() for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if not tensors:
        found = f"its entries are {first_few([str(key) for key in content])}" if content else "it is an empty dict"
        raise refuse(path, f"holds no tensors, {found}: save a model's state_dict")
    odd = [k for k, v in tensors.items() if v.layout != torch.strided or v.is_quantized or v.device.type != "cpu"]
    if odd:
        raise refuse(path, f"holds tensors that are sparse, quantised or without data: {first_few(odd)}")
    return tensors
