"""Checkpoints of any dialect -> our models, and our models -> safetensors.

The names load torch only when used, so that the facade and the CLI can import this package without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pvt_edge.checkpoints.weights_report import WeightsReport

if TYPE_CHECKING:
    from pvt_edge.checkpoints.loading import load_weights
    from pvt_edge.checkpoints.reading import Checkpoint, read_checkpoint
    from pvt_edge.checkpoints.saving import save_weights

__all__ = ["Checkpoint", "WeightsReport", "load_weights", "read_checkpoint", "save_weights"]

_HOME = {
    "load_weights": "loading",
    "save_weights": "saving",
    "read_checkpoint": "reading",
    "Checkpoint": "reading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
