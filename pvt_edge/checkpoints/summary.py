"""What a checkpoint is, told from its tensors without building a model."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pvt_edge.checkpoints.architecture import name_of, traits_of_tensors
from pvt_edge.checkpoints.opening import OpenCheckpoint, open_checkpoint
from pvt_edge.checkpoints.refusal import refuse
from pvt_edge.models import MODELS, Backbone, get_family
from pvt_edge.variants import VARIANTS


@dataclass(frozen=True)
class CheckpointSummary:
    """Variant, task, size and family of the model in a file; None where the file does not tell.

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
    family: str = ""


def summarise_checkpoint(path: str | PathLike[str], *, ema: bool | None = None) -> CheckpointSummary:
    """The summary of the file (or folder) `path`; raises `WeightsError` for one that is no PVT checkpoint."""
    return summarise(open_checkpoint(path, ema=ema))


def summarise(opened: OpenCheckpoint) -> CheckpointSummary:
    """The summary of an open file."""
    checkpoint, tensors = opened.checkpoint, opened.translation.tensors
    counts = ((model, model.count_classes(tensors)) for model in MODELS.values())
    model, num_classes = next(((model, count) for model, count in counts if count is not None), (Backbone, None))
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
        task=model.task,
        num_classes=num_classes,
        head=checkpoint.metadata.get("head"),
        labels=opened.sidecar_of(model).labels,
        family=opened.dialect.family,
    )


def known_variant(opened: OpenCheckpoint) -> str:
    """The variant that the file holds; `WeightsError` where it is none of ours."""
    traits = traits_of_tensors(opened.translation.tensors)
    name = None if traits is None else name_of(traits)
    if name is None:
        family = get_family(opened.dialect.family)
        known = ", ".join(name for name, row in VARIANTS.items() if row.family == family.name)
        raise refuse(opened.checkpoint.path, f"holds a {family.title} of another size than {known}")
    return name
