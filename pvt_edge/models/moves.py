"""Moves in the training form: set in place, read back."""

from typing import Any

from torch import nn

from pvt_edge.models.model import Model
from pvt_edge.models.table import check_model
from pvt_edge.moves import BlockMoves, Moves, block_names


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
