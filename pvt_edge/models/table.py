"""The table of models by task, and fresh ones of them."""

import re
from os import PathLike
from pathlib import Path
from typing import Any

from pvt_edge.errors import ArgumentError, PvtEdgeError, described
from pvt_edge.models.family import FAMILIES, build_backbone
from pvt_edge.models.model import Model
from pvt_edge.variants import VARIANTS, Variant

MODELS: dict[str, type[Model]] = {}  # by task; in the order in which a file's task is looked for


def register_model(model: type[Model]) -> None:
    """Add the model of a task that `pvt_edge.tasks` knows."""
    MODELS[model.task] = model


def get_model(task: str) -> type[Model]:
    """The model of a task that `pvt_edge.tasks` knows; `PvtEdgeError` where it has none to make."""
    if task not in MODELS:
        raise PvtEdgeError(f"no model is known for the task {task}: known are {', '.join(MODELS)}")
    return MODELS[task]


def build_model(
    variant: Variant, task: str, num_classes: int | None = None, head: Any = None, drop_path: float = 0.0
) -> Model:
    """A fresh model in eval mode; `num_classes` and `head` are the task's own unless given."""
    model = get_model(task)
    classes = model.default_classes if num_classes is None else num_classes
    if classes < 1 and model.default_classes:
        raise PvtEdgeError(f"num_classes must be at least 1, got {num_classes}")
    built = model.build(build_backbone(variant, drop_path), classes, model.default_head if head is None else head)
    return built.eval()


def kind_of(block: str) -> str:
    """The kind of a block of a graph, empty for one that no family or head names.

    >>> kind_of("stages.2.blocks.0.attn.q"), kind_of("head.cls_out")
    ('attention query', 'head output')
    """
    tables = [*(family.kinds for family in FAMILIES.values()), *(model.kinds for model in MODELS.values())]
    kinds = (kind for table in tables for kind, pattern in table.items() if re.fullmatch(pattern, block))
    return next(kinds, "")


def check_model(call: str, model: object) -> None:
    """Raise `ArgumentError` unless `model` is one of ours; of a path or name it has the call to make."""
    if isinstance(model, Model):
        return
    if isinstance(model, (str, PathLike)):
        raise ArgumentError(f"{call} takes a model, not {str(model)!r}: {creation_of(model)}")
    raise ArgumentError(f"{call} takes a model made by create_model, not {described(model)}")


def creation_of(text: str | PathLike[str]) -> str:
    """The call that makes a model of what was given in its place: a variant, a checkpoint or a bundle."""
    name = str(text)
    if (Path(name) / "model.json").is_file():
        return f"that is a bundle, which is run with pvt_edge.load({name!r})"
    if name.lower() in VARIANTS:
        return f"write model = pvt_edge.create_model({name.lower()!r}, weights='imagenet')"
    told = re.search(r"b[0-5]", Path(name).name.lower())
    return f"write model = pvt_edge.create_model({told[0] if told else 'b0'!r}, weights={name!r}), with its variant"
