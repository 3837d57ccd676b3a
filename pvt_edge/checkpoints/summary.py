"""What a checkpoint is, told from its tensors without building a model."""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from torch import Tensor

from pvt_edge.checkpoints.architecture import name_of, traits_of_tensors
from pvt_edge.checkpoints.opening import open_checkpoint
from pvt_edge.checkpoints.refusal import refuse


@dataclass(frozen=True)
class CheckpointSummary:
    """Variant, task and size of the model in a file; None where the file does not tell.

    `task` is features for a backbone alone. `head` and `labels` are those that a file of our own notes.
    """

    dialect: str
    variant: str | None
    task: str
    num_classes: int | None
    head: str | None = None
    labels: tuple[str, ...] | None = None


def summarise_checkpoint(path: str | PathLike[str]) -> CheckpointSummary:
    """The summary of the file (or folder) `path`; raises `WeightsError` for one that is no PVT-v2 checkpoint."""
    opened = open_checkpoint(path)
    checkpoint, tensors = opened.checkpoint, opened.translation.tensors
    task, num_classes = "features", None
    if "head.weight" in tensors:
        task, num_classes = "classify", _rows(tensors["head.weight"])
    elif "head.cls_out.weight" in tensors and "head.reg_out.weight" in tensors:
        anchors = max(_rows(tensors["head.reg_out.weight"]) // 4, 1)
        task, num_classes = "detect", _rows(tensors["head.cls_out.weight"]) // anchors
    traits = traits_of_tensors(tensors)
    return CheckpointSummary(
        dialect=opened.dialect.name,
        variant=None if traits is None else name_of(traits),
        task=task,
        num_classes=num_classes,
        head=checkpoint.metadata.get("head"),
        labels=_labels(checkpoint.metadata.get("labels"), checkpoint.path),
    )


def _rows(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.ndim else 0


def _labels(text: str | None, path: Path) -> tuple[str, ...] | None:
    """The labels that training noted in the file as a JSON list."""
    if text is None:
        return None
    try:
        return tuple(str(label) for label in json.loads(text))
    except (ValueError, TypeError) as error:
        raise refuse(path, f"its metadata say labels={text!r}, which is no JSON list") from error
