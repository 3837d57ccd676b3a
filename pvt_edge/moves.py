"""Moves: what a graph leaves out or computes at a smaller size to cost less, by block name, as plain JSON.

`{"stages.0.blocks.0.attn": {"pool_keys": 4, "pool_queries": 2}, "stages.0.blocks.1.mlp": {"leave_out": true}}`; what
each does is defined by the training form (`pvt_edge.models.pvt_v2`), and docs/approximations.md says what it costs.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_serializer, model_validator

from pvt_edge.errors import ArgumentError, UnknownNameError
from pvt_edge.variants import Variant

LINEAR_POOL = 7  # side of the key/value grid of linear SRA, whatever the input size

Kind = Literal["attn", "mlp"]
TAKES: dict[str, tuple[str, ...]] = {"attn": ("pool_keys", "pool_queries", "leave_out"), "mlp": ("pool", "leave_out")}
POOLS = ("pool_keys", "pool_queries", "pool")
WORDS = {"pool_keys": "keys", "pool_queries": "queries", "pool": "MLP"}


class BlockMoves(BaseModel):
    """The moves of one attention or MLP block; the default is none.

    `pool_keys`: keys and values are averages over windows of so many by so many of the reduced map. `pool_queries`:
    the whole attention reads the map averaged over such windows, and each answer goes to all of its window. `pool`:
    the same for the whole MLP. `leave_out`: the residual branch is not computed. Windows at the right and lower edge
    hold what there is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    pool_keys: int = Field(default=1, ge=1)
    pool_queries: int = Field(default=1, ge=1)
    pool: int = Field(default=1, ge=1)
    leave_out: bool = False

    @model_validator(mode="after")
    def _agree(self) -> "BlockMoves":
        pooled = [name for name in POOLS if getattr(self, name) > 1]
        if self.leave_out and pooled:
            raise ValueError(f"leave_out contradicts {' and '.join(pooled)}: what is left out is not pooled")
        return self

    @model_serializer
    def _given(self) -> dict[str, int | bool]:
        return {name: value for name, value in self if value != type(self).model_fields[name].default}

    def __or__(self, other: "BlockMoves") -> "BlockMoves":
        if self.leave_out or other.leave_out:
            return BlockMoves(leave_out=True)
        return BlockMoves(**{name: max(getattr(self, name), getattr(other, name)) for name in POOLS})

    @property
    def names(self) -> tuple[str, ...]:
        """Those it makes: ("pool_keys", "pool_queries")."""
        return tuple(self._given())


class Moves(RootModel[dict[str, BlockMoves]]):
    """The moves of a model by block name; `Moves()` is the exact model.

    A name may also be that of a module, "stages.0" or "stages.0.blocks.1": it stands for the blocks below it that can
    make its moves. Of several names that cover a block the longest alone counts.
    """

    model_config = ConfigDict(frozen=True)

    root: dict[str, BlockMoves] = {}

    def __bool__(self) -> bool:
        return any(block.names for block in self.root.values())

    def __hash__(self) -> int:
        return hash(frozenset(self.root.items()))

    def __or__(self, other: "Moves") -> "Moves":
        """Both; where they give one name the larger pools, and leaving out over all.

        Names are not spelled out first: see `blocks` for those that cover one block.
        """
        merged = dict(self.root)
        for name, block in other.root.items():
            merged[name] = merged[name] | block if name in merged else block
        return Moves(merged)

    def blocks(self, variant: Variant) -> dict[str, BlockMoves]:
        """The moves of every block of `variant` that makes some, spelled out.

        Raises `UnknownNameError` for a name of no block, `ArgumentError` for a move that its blocks cannot make.
        """
        known = block_names(variant)
        for name, block in self.root.items():
            covered = [one for one in known if covers(name, one)]
            if not covered:
                raise UnknownNameError("block in the moves", name, [*known, *_modules(variant)])
            for move in block.names:
                if not any(move in TAKES[kind_of(one)] for one in covered):
                    takes = ", ".join(TAKES[kind_of(covered[0])])
                    raise ArgumentError(f"the moves: {name} cannot make {move}: it takes {takes}")
        found = {}
        for one in known:
            covering = [name for name in self.root if covers(name, one)]
            if covering:
                given = self.root[max(covering, key=len)].model_dump()
                block = BlockMoves.model_validate({k: v for k, v in given.items() if k in TAKES[kind_of(one)]})
                if block.names:
                    found[one] = block
        return found

    def left_out(self, variant: Variant) -> tuple[str, ...]:
        """The blocks of `variant` that are not computed at all."""
        return tuple(name for name, block in self.blocks(variant).items() if block.leave_out)

    def check(self, variant: Variant, imgsz: tuple[int, int]) -> None:
        """Raise unless `variant` at `imgsz` (height, width) can make these moves; see `blocks`.

        `ArgumentError` names a pool that is larger than its map, and the map.
        """
        for name, block in self.blocks(variant).items():
            for move in (one for one in POOLS if getattr(block, one) > 1):
                side, (height, width) = getattr(block, move), map_of(variant, imgsz, name, move)
                if side > min(height, width):
                    raise ArgumentError(
                        f"the moves: {move} {side} of {name} is larger than its map of {height}x{width} at image size "
                        f"{imgsz[0]},{imgsz[1]} (height,width): 2 to {min(height, width)} can be pooled"
                    )

    def fitting(self, variant: Variant, imgsz: tuple[int, int]) -> "Moves":
        """Those that `variant` can make at `imgsz`, of a recipe written for larger pictures, spelled out."""
        kept: dict[str, BlockMoves] = {}
        for name, block in self.blocks(variant).items():
            fit = {
                move: value
                for move, value in block.model_dump().items()
                if move == "leave_out" or value <= min(map_of(variant, imgsz, name, move))
            }
            kept[name] = BlockMoves.model_validate(fit)
        return Moves(kept)

    def words(self, variant: Variant) -> str:
        """In a line: "keys pooled 4x4 in stage 1, MLP left out in block 2 of stage 1"; "exact" where there are none."""
        parts: dict[str, list[str]] = {}
        for name, block in self.blocks(variant).items():
            for move in block.names:
                side = getattr(block, move)
                branch = "attention" if kind_of(name) == "attn" else "MLP"
                text = f"{branch} left out" if move == "leave_out" else f"{WORDS[move]} pooled {side}x{side}"
                parts.setdefault(text, []).append(name)
        return ", ".join(f"{text} in {_places(variant, names)}" for text, names in parts.items()) or "exact"


NONE = Moves()

# What cost the least accuracy for the time it saved, see docs/approximations.md; `fitting` makes it one for an image
# size and a variant.
RECIPE = Moves(
    {
        "stages.0": BlockMoves(pool_queries=4),
        "stages.1": BlockMoves(pool_queries=2),
        "stages.2": BlockMoves(pool_queries=2),
    }
)


def read_moves(content: object) -> Moves:
    """The moves in parsed JSON; `ArgumentError` says what is wrong with it, and where."""
    try:
        return Moves.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ": ".join(map(str, first["loc"])) or "the whole"
        takes = ", ".join(BlockMoves.model_fields)
        what = f"there is no such move: known are {takes}" if first["type"] == "extra_forbidden" else first["msg"]
        what = what.removeprefix("Value error, ")
        raise ArgumentError(
            f'the moves: {where}: {what}; expected {{"stages.0.blocks.0.attn": {{"pool_keys": 4}}, ...}}'
        ) from error


def block_names(variant: Variant) -> list[str]:
    """Every block that can make a move, in execution order."""
    return [
        f"stages.{i}.blocks.{j}.{kind}"
        for i, depth in enumerate(variant.depths)
        for j in range(depth)
        for kind in TAKES
    ]


def kind_of(block: str) -> str:
    """ "attn" of "stages.0.blocks.0.attn" """
    return block.rpartition(".")[2]


def map_of(variant: Variant, imgsz: tuple[int, int], block: str, move: str) -> tuple[int, int]:
    """Height and width of the map that `move` pools in `block`."""
    stage = int(block.split(".")[1])
    if variant.class_token and stage == len(variant.depths) - 1:
        return 1, 1  # tokens, of which one is at no place of a map: nothing to pool
    height, width = imgsz[0] >> (stage + 2), imgsz[1] >> (stage + 2)
    if move != "pool_keys":
        return height, width
    ratio = variant.sr_ratios[stage]
    return (LINEAR_POOL, LINEAR_POOL) if variant.linear else (height // ratio, width // ratio)


def single_moves(variant: Variant, imgsz: tuple[int, int]) -> list[Moves]:
    """The moves that a search tries one by one: pools of a whole stage, and branches left out block by block."""
    given: Iterator[Mapping[str, Any]] = (
        {f"stages.{i}": {move: side}} for i in range(len(variant.depths)) for move in POOLS for side in (2, 4)
    )
    pools = [Moves.model_validate(one) for one in given]
    left_out = [Moves({name: BlockMoves(leave_out=True)}) for name in block_names(variant)]
    fitting = [one.fitting(variant, imgsz) for one in pools]
    return [spelled for spelled in fitting if spelled] + left_out


def covers(name: str, block: str) -> bool:
    """Whether `name` is that of the block, or of a module that it is in."""
    return block == name or block.startswith(f"{name}.")


def _modules(variant: Variant) -> list[str]:
    names = {".".join(name.split(".")[:depth]): None for name in block_names(variant) for depth in (2, 4)}
    return list(names)


def _places(variant: Variant, names: list[str]) -> str:
    """ "stages 1 and 2" where all their blocks of the kind are among `names`, else "block 2 of stage 1"."""
    blocks: dict[int, list[int]] = {}
    for name in names:
        _, in_stage, _, in_block, _ = name.split(".")
        blocks.setdefault(int(in_stage), []).append(int(in_block))
    whole = [stage for stage, found in blocks.items() if len(set(found)) == variant.depths[stage]]
    parts = [f"stage{'s' if len(whole) > 1 else ''} {_listed([stage + 1 for stage in whole])}"] if whole else []
    for index in (one for one in blocks if one not in whole):
        several = "s" if len(set(blocks[index])) > 1 else ""
        parts.append(f"block{several} {_listed([block + 1 for block in blocks[index]])} of stage {index + 1}")
    return " and ".join(parts)


def _listed(numbers: list[int]) -> str:
    *first, last = [str(number) for number in numbers]
    return f"{', '.join(first)} and {last}" if first else last
