"""Tensors out of a file, and what it says beside them, without running anything that it may hold."""

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.checkpoints.file_kind import FileKind, file_kind
from pvt_edge.checkpoints.folder import shards_of, weight_file
from pvt_edge.checkpoints.refusal import first_few, refuse
from pvt_edge.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

_ENVELOPES = ("state_dict", "model_state_dict", "model", "module")
_MEND = "convert it to safetensors, or save its state_dict alone, from a copy that you trust"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by the names that the file gives them, and what it says beside them.

    `metadata` are a safetensors file's texts. `extras` are a pickle's plain values under their names: numbers, texts,
    lists, tuples and dicts, such as "epoch", "args", "meta" or "hyper_parameters"; namespaces and configuration
    objects are dicts, and what is no plain value is missing. `path` is the file that was read: the one found where a
    folder was given, an index where the model lies in shards.
    """

    tensors: "dict[str, Tensor]"
    metadata: dict[str, str]
    path: Path
    extras: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: str | PathLike[str]) -> Checkpoint:
    """The tensors of a .safetensors, .pth, .pt or .bin file, of all shards of a model, or of the file in a folder.

    The file's kind is found by its content. Raises `WeightsError` for a file that cannot be read or that
    holds something else; code in it is never run.
    """
    path = Path(path)
    try:
        path = weight_file(path)
        if shards := shards_of(path) if path.exists() else None:
            return _read_shards(path, shards)
        return _read_file(path)
    except WeightsError:
        raise
    except OSError as error:
        raise refuse(path, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the one boundary: the readers raise a dozen types on damaged files
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise refuse(path, f"is truncated, damaged or no checkpoint ({reason}): download or copy it again") from error


def _read_file(path: Path) -> Checkpoint:
    return _read_safetensors(path) if file_kind(path) is FileKind.SAFETENSORS else _read_pickle(path)


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        return _checked(path, tensors, metadata=file.metadata() or {})


def _read_pickle(path: Path) -> Checkpoint:
    from pvt_edge.checkpoints.stand_ins import plain_values

    content = _unpickle(path)
    return _checked(path, _unwrap(content), extras=plain_values(content))


def _unpickle(path: Path) -> Any:
    """What the pickle at `path` holds, objects beside the tensors as `StandIn`s; none of its code is run."""
    import torch

    from pvt_edge.checkpoints import unpickling

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
    if not isinstance(content, Mapping) or isinstance(content, unpickling.StandIn):
        raise _holds_objects(path, refused)
    return content


def _holds_objects(path: Path, error: Exception) -> WeightsError:
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f" ({named[1]})" if named else ""
    return refuse(path, f"holds code or objects that are not tensors{what}, none of which was run: {_MEND}")


def _unwrap(content: Any) -> Any:
    """The state_dict inside `content`, whatever training scripts have put around it."""
    for _ in _ENVELOPES:
        inner = [content[key] for key in _ENVELOPES if key in content] if isinstance(content, Mapping) else []
        if not inner or not isinstance(inner[0], Mapping):
            break
        content = inner[0]
    return content


def _checked(path: Path, content: Any, **beside: Any) -> Checkpoint:
    """`content` as a Checkpoint; `WeightsError` unless it maps names to plain tensors on the CPU."""
    import torch

    if not isinstance(content, Mapping):
        raise refuse(path, f"holds a {type(content).__name__}, not a dict of tensors: save a model's state_dict")
    tensors = {k: v.detach() for k, v in content.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    if not tensors:
        found = f"its entries are {first_few([str(key) for key in content])}" if content else "it is an empty dict"
        raise refuse(path, f"holds no tensors, {found}: save a model's state_dict")
    odd = [k for k, v in tensors.items() if v.layout != torch.strided or v.is_quantized or v.device.type != "cpu"]
    if odd:
        raise refuse(path, f"holds tensors that are sparse, quantised or without data: {first_few(odd)}")
    return Checkpoint(tensors, beside.get("metadata", {}), path, beside.get("extras", {}))


def _read_shards(path: Path, shards: list[Path]) -> Checkpoint:
    """All tensors of `shards`."""
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for shard in shards:
        if not shard.exists():
            raise refuse(shard, "no such file")
        part = _read_file(shard)
        tensors |= part.tensors
        metadata |= part.metadata
    return _checked(path, tensors, metadata=metadata)
