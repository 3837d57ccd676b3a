"""The tables of models by task and of backbones by family; fresh ones of them, and the moves that they make."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from pvt_edge.errors import ArgumentError, PvtEdgeError, UnknownNameError, described
from pvt_edge.models.model import Backbone, Model
from pvt_edge.models.pvt_v1 import PVTv1
from pvt_edge.models.pvt_v2 import BLOCK_KINDS, PVTv2
from pvt_edge.moves import BlockMoves, Moves, block_names
from pvt_edge.variants import FAMILY_TITLES, VARIANTS, Variant

MODELS: dict[str, type[Model]] = {}  # by task; in the order in which a file's task is looked for


@dataclass(frozen=True)
class Family:
    """Backbones of one design.

    Attributes:
        name: As the variants' rows spell it.
        title: In texts for people.
        backbone: The training form, made with (variant, drop_path).
        marker: A tensor that the backbones of this family alone have, in our names.
        kinds: The kinds of its blocks, as recipes of precision name them -> the pattern of a whole block name.
    """

    name: str
    title: str
    backbone: type[Backbone]
    marker: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)


FAMILIES: dict[str, Family] = {}


def register_family(family: Family) -> None:
    """Add a family to the table; its variants go into `pvt_edge.variants.VARIANTS`."""
    FAMILIES[family.name] = family


def get_family(name: str) -> Family:
    """The family called `name`; `UnknownNameError` for another."""
    if name not in FAMILIES:
        raise UnknownNameError("family", name, FAMILIES)
    return FAMILIES[name]


def build_backbone(variant: Variant, drop_path: float = 0.0) -> Backbone:
    """A fresh backbone; `drop_path` is the highest rate of stochastic depth, the last block's."""
    return get_family(variant.family).backbone(variant, drop_path)


register_family(Family("pvt-v2", FAMILY_TITLES["pvt-v2"], PVTv2, kinds=BLOCK_KINDS))
register_family(Family("pvt-v1", FAMILY_TITLES["pvt-v1"], PVTv1, marker="stages.0.pos_embed"))


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
    match = re.search(r"b[0-5]", Path(name).name.lower())
    return f"write model = pvt_edge.create_model({match[0] if match else 'b0'!r}, weights={name!r}), with its variant"


def apply_moves(model: Model, moves: Moves) -> Model:
    """`model` itself, making `moves` and no other from now on; `NONE` makes it exact again.

    Its weights stay as they are. Raises `UnknownNameError` for a block that it does not have and `ArgumentError` for a
    move that a block cannot make; `moves.check` tells for an image size, too.
    """
    check_model("apply_moves()", model)
    backbone = model.backbone
    wanted = moves.blocks(backbone.variant)
    for name in block_names(backbone.variant):
        _branch(backbone, name).moves = wanted.get(name, BlockMoves())
    return model


def moves_of(model: Model) -> Moves:
    """The moves that `model` makes, by block, spelled out."""
    backbone = model.backbone
    found = {name: _branch(backbone, name).moves for name in block_names(backbone.variant)}
    return Moves({name: block for name, block in found.items() if block.names})


def _branch(backbone: nn.Module, name: str) -> Any:
    branch = backbone.get_submodule(name)
    assert isinstance(branch.moves, BlockMoves)
    return branch
