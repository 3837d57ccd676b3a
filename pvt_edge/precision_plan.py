"""The precision plan: which block runs in INT8 and which in float, as JSON; and what never may run in INT8."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pvt_edge.errors import ExportError, UnknownNameError
from pvt_edge.moves import Moves, covers

BlockPrecision = Literal["int8", "float"]


class PrecisionPlan(BaseModel):
    """Precision by block name, for one variant and task.

    A name may also be that of a module: "stages.2.blocks.4.attn" stands for all blocks below it, and a longer name
    wins over a shorter one. What no name covers is float. `moves` are what the graph leaves out or computes at a
    smaller size.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: str
    task: str
    blocks: dict[str, BlockPrecision]
    moves: Moves = Moves()

    def int8_blocks(self, known: Sequence[str], left_out: Sequence[str] = ()) -> frozenset[str]:
        """Those of the graph's blocks `known` that run in INT8; raises `UnknownNameError` for a name of none.

        Names of blocks that moves have `left_out` of the graph are none the less names.
        """
        for name in self.blocks:
            gone = any(covers(block, name) or covers(name, block) for block in left_out)
            if not gone and not any(covers(name, block) for block in known):
                raise UnknownNameError("block in the precision plan", name, _nameable(known))
        chosen = set()
        for block in known:
            covering = [name for name in self.blocks if covers(name, block)]
            if covering and self.blocks[max(covering, key=len)] == "int8":
                chosen.add(block)
        return frozenset(chosen)


def plan_of(variant: str, task: str, known: Sequence[str], int8_blocks: Iterable[str]) -> PrecisionPlan:
    """The plan that spells every block out."""
    chosen = set(int8_blocks)
    blocks: dict[str, BlockPrecision] = {block: "int8" if block in chosen else "float" for block in known}
    return PrecisionPlan(variant=variant, task=task, blocks=blocks)


def read_plan(path: str | Path, variant: str, task: str) -> PrecisionPlan:
    """The plan in a file, or the one in a bundle's `model.json`.

    Raises `ExportError` when it cannot be read, or was made for another variant or task.
    """
    path = Path(path)
    path = path / "model.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ExportError(f"cannot read the precision plan {path}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExportError(f"the precision plan {path} is not JSON: {error}") from error
    if isinstance(content, dict) and "artifacts" in content:  # a whole model.json
        if not content.get("precision_plan"):
            raise ExportError(f"the bundle of {path} has no precision plan: it was exported without --int8")
        kept = {key: content[key] for key in ("variant", "task", "moves") if key in content}
        content = kept | {"blocks": content["precision_plan"]}
    try:
        plan = PrecisionPlan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ExportError(
            f"the precision plan {path} is not one: {where}: {first['msg']}; "
            'expected {"variant": "b0", "task": "detect", "blocks": {"stages.0": "int8", ...}}'
        ) from error
    if (plan.variant, plan.task) != (variant, task):
        raise ExportError(
            f"the precision plan {path} is for {plan.variant} {plan.task}, not {variant} {task}: "
            "take one of this model, or leave --plan out (plan= in Python) to have one made"
        )
    return plan


def is_miscounted(channels: int, kernel: Sequence[int]) -> bool:
    """Whether OpenVINO's int8 kernel gives wrong sums for a convolution: it is no block that can run in INT8.

    Seen on AMX (2026.4) for 32 channels under 4x4 kernels and up. That is B0's first spatial reduction, whose output
    had nothing to do with the float one; 64 channels are right.
    """
    return 3 < channels < 64 and min(kernel) >= 4


def _nameable(known: Sequence[str]) -> list[str]:
    """Every name a plan may hold: the blocks and the modules around them."""
    names: dict[str, None] = {}
    for block in known:
        parts = block.split(".")
        names.update(dict.fromkeys(".".join(parts[:i]) for i in range(1, len(parts) + 1)))
    return list(names)
