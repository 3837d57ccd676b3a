"""The content of a pickle that torch wrote, without running anything that it may hold."""

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pvt_edge.checkpoints import unpickling
from pvt_edge.checkpoints.candidates import tensors_of_module
from pvt_edge.checkpoints.refusal import refuse
from pvt_edge.checkpoints.stand_ins import StandIn
from pvt_edge.errors import WeightsError

_MEND = "convert it to safetensors, or save its state_dict alone, from a copy that you trust"


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
