"""What a checkpoint is, told from its tensors without building a model."""

import re
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from torch import Tensor

from pvt_edge.checkpoints.architecture import name_of, traits_of_tensors
from pvt_edge.checkpoints.opening import OpenCheckpoint, open_checkpoint
from pvt_edge.checkpoints.refusal import refuse
from pvt_edge.models.retinanet import HeadConfig, get_head
from pvt_edge.variants import VARIANTS

_TOWER = re.compile(r"head\.cls\.(\d+)\.conv\.weight")
_PYRAMID = re.compile(r"neck\.output\.\d+\.weight")


@dataclass(frozen=True)
class CheckpointSummary:
    """Variant, task and size of the model in a file; None where the file does not tell.

    `task` is features for a backbone alone. `head` is what a file of our own notes,
    `labels` what a file or its neighbours do; `path`, `entry`, `which`, `others` and `class_layer` as in
    `WeightsReport`; `beside` are tensors of no part of the model.
    """

    path: Path
    dialect: str
    variant: str | None
    task: str
    num_classes: int | None
    head: str | None = None
    labels: tuple[str, ...] | None = None
    entry: str = ""
    which: str = ""
    others: tuple[str, ...] = ()
    class_layer: str | None = None
    beside: tuple[str, ...] = ()


def summarise_checkpoint(path: str | PathLike[str], *, ema: bool | None = None) -> CheckpointSummary:
    """The summary of the file (or folder) `path`; raises `WeightsError` for one that is no PVT-v2 checkpoint."""
    return summarise(open_checkpoint(path, ema=ema))


def summarise(opened: OpenCheckpoint) -> CheckpointSummary:
    """The summary of an open file."""
    checkpoint, tensors = opened.checkpoint, opened.translation.tensors
    task, num_classes = "features", None
    if "head.weight" in tensors:
        task, num_classes = "classify", _rows(tensors["head.weight"])
    elif "head.cls_out.weight" in tensors and "head.reg_out.weight" in tensors:
        anchors = max(_rows(tensors["head.reg_out.weight"]) // 4, 1)
        task, num_classes = "detect", _rows(tensors["head.cls_out.weight"]) // anchors
    traits = traits_of_tensors(tensors)
    return CheckpointSummary(
        path=checkpoint.path,
        entry=checkpoint.entry,
        which=checkpoint.which,
        others=checkpoint.others,
        class_layer=opened.class_layer,
        beside=opened.beside,
        dialect=opened.dialect.name,
        variant=None if traits is None else name_of(traits),
        task=task,
        num_classes=num_classes,
        head=checkpoint.metadata.get("head"),
        labels=opened.sidecar_of(task).labels,
    )


def known_variant(opened: OpenCheckpoint) -> str:
    """The variant that the file holds; `WeightsError` where it is none of ours."""
    traits = traits_of_tensors(opened.translation.tensors)
    name = None if traits is None else name_of(traits)
    if name is None:
        raise refuse(opened.checkpoint.path, f"holds a PVT v2 of another size than {', '.join(VARIANTS)}")
    return name


def _rows(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.ndim else 0


def head_config(opened: OpenCheckpoint, name: str | None) -> HeadConfig:
    """The head of an open file: the preset called `name`, else RetinaNet in the file's sizes, with its anchors."""
    base = get_head(name or "retinanet")
    tensors = opened.translation.tensors
    lateral = tensors.get("neck.lateral.0.weight")
    if name is None and lateral is not None and lateral.ndim:
        towers = [int(match[1]) for match in map(_TOWER.fullmatch, tensors) if match]
        levels = sum(_PYRAMID.fullmatch(key) is not None for key in tensors)
        base = replace(base, width=lateral.shape[0], depth=max(towers, default=-1) + 1, levels=min(max(levels, 3), 5))
    return opened.trained_head.config(base)
