"""Tensors out of a file, without running anything that the file may hold."""

import argparse
import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvt_edge.checkpoints.file_kind import FileKind, file_kind
from pvt_edge.checkpoints.refusal import first_few, refuse
from pvt_edge.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

_ENVELOPES = ("state_dict", "model_state_dict", "model", "module")
_MEND = "convert it to safetensors, or save its state_dict alone, from a copy that you trust"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by the names that the file gives them, and the texts beside them (safetensors only)."""

    tensors: "dict[str, Tensor]"
    metadata: dict[str, str]


def read_checkpoint(path: str | PathLike[str]) -> Checkpoint:
    """The tensors of a .safetensors, .pth, .pt or .bin file, or of all shards that an .index.json lists.

    The file's kind is found by its content. Raises `WeightsError` for a file that cannot be read or that
    holds something else; code in it is never run (`weights_only=True`).
    """
    path = Path(path)
    try:
        kind = file_kind(path)
        if kind is FileKind.INDEX:
            return _read_shards(path)
        return _read_safetensors(path) if kind is FileKind.SAFETENSORS else _read_pickle(path)
    except WeightsError:
        raise
    except OSError as error:
        raise refuse(path, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the one boundary: the readers raise a dozen types on damaged files
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise refuse(path, f"is truncated, damaged or no checkpoint ({reason}): download or copy it again") from error


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        return _checked(path, tensors, file.metadata() or {})


def _read_pickle(path: Path) -> Checkpoint:
    import torch

    try:
        # DeiT-like training scripts, the official one too, save their argparse options beside the model
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses at the file's kind, which the errors below tell
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({named[1]})" if named else ""
        reason = f"holds code or objects that are not tensors{what}, none of which was run: {_MEND}"
        raise refuse(path, reason) from error
    except RuntimeError as error:
        if "TorchScript" not in str(error):
            raise
        raise refuse(path, f"is a TorchScript archive, which holds code: {_MEND}") from error
    return _checked(path, _unwrap(content), {})


def _unwrap(content: Any) -> Any:
    """The state_dict inside `content`, whatever training scripts have put around it."""
    for _ in _ENVELOPES:
        inner = [content[key] for key in _ENVELOPES if key in content] if isinstance(content, Mapping) else []
        if not inner or not isinstance(inner[0], Mapping):
            break
        content = inner[0]
    return content


def _checked(path: Path, content: Any, metadata: dict[str, str]) -> Checkpoint:
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
    return Checkpoint(tensors, metadata)


def _read_shards(path: Path) -> Checkpoint:
    """All tensors of the files that a Hugging Face index lists beside itself."""
    index = json.loads(path.read_text(encoding="utf-8"))
    names = sorted(set(index["weight_map"].values()))
    tensors: dict[str, Tensor] = {}
    for name in names:
        if Path(name).name != name or name.endswith(".json"):
            raise refuse(path, f"lists {name!r}, which is no file beside it")
        tensors |= read_checkpoint(path.parent / name).tensors
    return _checked(path, tensors, {})
