"""The model that a run starts from: fresh, or with as much of given weights as fits; and which of it trains."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.checkpoints.loading import load_opened
from pvt_edge.checkpoints.opening import OpenCheckpoint, known_variant, open_checkpoint, summarise
from pvt_edge.checkpoints.sidecar import Sidecar
from pvt_edge.errors import WeightsError
from pvt_edge.models import Model
from pvt_edge.models.table import get_model
from pvt_edge.options.preprocessing import Preprocessing
from pvt_edge.options.train import frozen_stages
from pvt_edge.training.task import TrainingTask
from pvt_edge.variants import get_variant
from pvt_edge.weights import NO_WEIGHTS, get_bundled
from pvt_edge.weights.obtaining import obtain
from pvt_edge.weights.published import find_published
from pvt_edge.zoo import variant_in_file

DEFAULT_WEIGHTS = "imagenet"
_STAGE = re.compile(r"backbone\.stages\.(\d)\.")


@dataclass(frozen=True)
class Start:
    """A model to train, the normalisation of its pictures, and what was taken from where.

    `names` are its classes, `notes` what its files note beside the usual.
    """

    model: Model
    normalise: NormaliseSpec
    note: str
    names: tuple[str, ...]
    notes: Mapping[str, str] = field(default_factory=dict)


def starting_model(
    task: TrainingTask[Any],
    variant: str,
    weights: str | None,
    names: tuple[str, ...],
    head: str | None,
    *,
    drop_path: float,
    drop: float,
    seed: int,
) -> Start:
    """The model for the classes `names`, with what it can take of `weights`: a name, a file, "none".

    The backbone is always taken. Neck and head are where they are of the same kind, the class layer where the classes
    are the same too. Raises `WeightsError` for weights that cannot be had or are of another variant,
    and `UnknownNameError` for a variant that does not exist.
    """
    get_variant(variant)
    torch.manual_seed(seed)
    weights, count = weights or DEFAULT_WEIGHTS, task.count_outputs(names)
    if weights == NO_WEIGHTS:
        model = task.build(variant, count, head, drop_path, drop)
        return Start(model, NormaliseSpec(), "random weights", names)
    opened = open_checkpoint(_file(weights, variant))
    summary = summarise(opened)
    alike = summary.task == task.name
    own = get_model(task.name).head_in(opened.translation.tensors, summary.head, opened.trained_head) if alike else None
    model = task.build(variant, count, own if head is None else head, drop_path, drop)
    note = _load(model, opened, names, summary.labels, alike)
    explicit = opened.sidecar.preprocessing.explicit
    fields: dict[str, Any] = {key: explicit[key] for key in ("mean", "std", "channel_order") if key in explicit}
    return Start(model, NormaliseSpec(**fields), f"{weights}: {note}", names)


def _file(weights: str, variant: str) -> Path:
    if bundled := get_bundled(weights):
        if bundled.variant != variant:
            raise WeightsError(f"weights {weights!r} are of variant {bundled.variant}, not {variant}")
        return bundled.path
    published = find_published(weights, variant)
    if published is None:
        return Path(weights)
    try:
        return obtain(published, variant_in_file)
    except WeightsError as error:
        raise WeightsError(
            f"{error}; or start from a file (--weights FILE), or from nothing (--weights none)"
        ) from error


def _load(
    model: Model, opened: OpenCheckpoint, names: tuple[str, ...], labels: tuple[str, ...] | None, alike: bool
) -> str:
    """What was taken of the file; `alike` where it is of the model's task."""
    if alike:
        same = labels == names
        try:
            load_opened(model, opened, reinit_head=not same)
            return "all of it" if same else "all but the class layer, which is fresh"
        except WeightsError as error:
            if "does not fit the model" not in str(error) or known_variant(opened) != model.backbone.variant.name:
                raise
    load_opened(model.backbone, opened)
    return "the backbone; what follows it is fresh"


def describe_pictures(
    model: Model, task: TrainingTask[Any], normalise: NormaliseSpec, imgsz: tuple[int, int], names: tuple[str, ...]
) -> None:
    """Note on the model how its pictures are made, which `save_weights` writes and an export reads."""
    plain = NormaliseSpec()
    values: dict[str, Any] = {"resize": task.resize.mode, "interpolation": task.resize.interpolation, "imgsz": imgsz}
    for key in ("mean", "std", "channel_order"):
        if getattr(normalise, key) != getattr(plain, key):
            values[key] = getattr(normalise, key)
    model.sidecar = Sidecar(preprocessing=Preprocessing(**values), labels=names)


def freeze(model: Model, how: str) -> list[nn.Module]:
    """The modules that are left as they are, whose parameters no longer train; they are to be kept in eval mode."""
    stages = frozen_stages(how)
    if how == "head-only":
        frozen: list[nn.Module] = [model.get_submodule("backbone")]
    else:
        frozen = [model.get_submodule(f"backbone.stages.{stage}") for stage in stages]
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def parameter_groups(model: nn.Module, lr: float, layer_decay: float, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW's groups: a stage of the backbone learns at `layer_decay` of the rate of the next, the head at `lr`.

    Norms and biases do not decay.
    """
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        found = _STAGE.match(name)
        depth = int(found[1]) if found else 0 if name.startswith("backbone.") else 4
        decays = parameter.ndim > 1
        group = groups.setdefault(
            (depth, decays),
            {"params": [], "lr": lr * layer_decay ** (4 - depth), "weight_decay": weight_decay if decays else 0.0},
        )
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """(how many parameters train, how many there are)."""
    return (
        sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        sum(parameter.numel() for parameter in model.parameters()),
    )
