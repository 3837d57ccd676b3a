"""Which moves an export makes: those of a plan, or the strongest recorded set that the budget allows on pictures.

The sets were found on `cells` at 480x640 (docs/approximations.md), weakest first; each is cut down to what a model's
maps can hold. What chooses a set is not what judges the artifacts made with it: see `ExportPictures`.
"""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import ArgumentError, ExportError
from pvt_edge.export.precision.judge import lost
from pvt_edge.export.precision.record import ApproximationRecord, MoveTrial
from pvt_edge.models.table import apply_moves
from pvt_edge.moves import RECIPE, BlockMoves, Moves, read_moves

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.models import Model
    from pvt_edge.variants import Variant

    Run = Callable[[NDArray[np.uint8]], Arrays]

LADDER: tuple[Moves, ...] = (
    Moves({"stages.0": BlockMoves(pool_queries=2)}),
    Moves({"stages.0": BlockMoves(pool_queries=4), "stages.1": BlockMoves(pool_queries=2)}),
    RECIPE,
    RECIPE | read_moves({"stages.0.blocks.1.mlp": {"pool": 2}}),
    RECIPE
    | read_moves(
        {
            "stages.0.blocks.1.mlp": {"leave_out": True},
            "stages.3.blocks.0.mlp": {"leave_out": True},
            "stages.3.blocks.1.attn": {"leave_out": True},
        }
    ),
)
SHARE = 0.6  # of the budget, on the pictures that choose: INT8 wants some of it, and other pictures lose a little more
FEW, HOPELESS = 8, 3.0  # what loses so many budgets on a few of the pictures is not tried on the others
CLASS_SHARE = 4.0  # a class may lose so many times the budget, for the mean to hold it


@dataclass(frozen=True)
class Approximation:
    """Moves that an export makes, and the trained model that makes them."""

    moves: Moves
    model: "Model"


def read_approximation(given: str | Path, variant: "Variant", task: str, imgsz: tuple[int, int]) -> Moves:
    """The moves of a plan: JSON of moves, a precision plan with "moves", or a bundle that was exported with some.

    Raises:
        ExportError: Where it cannot be read, is of another variant or task, or holds none.
        ArgumentError: For moves that the model cannot make, with the names that exist.
    """
    path = Path(given)
    try:
        path = path / "model.json" if path.is_dir() else path
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ExportError(
            f"cannot read the plan of approximations {path}: {error.strerror}; --approximate takes auto, none or a file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ExportError(f"the plan of approximations {path} is not JSON: {error}") from error
    if isinstance(content, dict) and "moves" in content:
        for name, wanted in (("variant", variant.name), ("task", task)):
            if content.get(name, wanted) != wanted:
                raise ExportError(f"the plan of approximations {path} is for {name} {content[name]}, not {wanted}")
        content = content["moves"]
    elif isinstance(content, dict) and "artifacts" in content:
        raise ExportError(f"the bundle of {path} makes no approximation")
    try:
        moves = read_moves(content)
        moves.check(variant, imgsz)
    except ArgumentError as error:
        raise ArgumentError(f"{path}: {error}") from error
    if not moves:
        raise ExportError(f"the plan of approximations {path} holds none: leave --approximate out, or say none")
    return Moves(moves.blocks(variant))


def take(model: "Model", moves: Moves) -> Approximation:
    """`moves` taken at their word."""
    return Approximation(moves, apply_moves(copy.deepcopy(model), moves))


def choose(
    model: "Model",
    imgsz: tuple[int, int],
    build: "Callable[[Moves], Run]",
    judge: "Judge",
    budget: float,
    on_step: Callable[[str], None],
    ladder: Sequence[Moves] = LADDER,
) -> tuple[Approximation | None, ApproximationRecord]:
    """The strongest set of moves within the budget, None where there is none, and what was tried.

    Args:
        model: As it was trained.
        imgsz: (height, width).
        build: What runs the model with some moves, in float32: a picture (1, H, W, 3) -> its outputs by name.
        judge: One set may lose `SHARE` of the budget on its pictures, and no class more than `CLASS_SHARE` budgets.
        budget: Of the judge's metric.
        on_step: Called with each set, in words.
        ladder: The sets, the weakest first.
    """
    variant = model.backbone.variant
    reference = tuple(map(build(Moves()), judge.inputs))
    judge = replace(judge, reference=reference)
    base, base_classes = judge.rate(reference)
    few, hopeless = judge.few(FEW), max(HOPELESS * budget, 1 / FEW)  # one picture may say another class
    few_base, few_classes = few.rate(few.reference)
    trials: list[MoveTrial] = []
    chosen: Approximation | None = None
    sets = dict.fromkeys(rung.fitting(variant, imgsz) for rung in reversed(ladder))
    for moves in (rung for rung in sets if rung):
        words = moves.words(variant)
        on_step(f"trying {words}")
        run = build(moves)
        trial = _trial(few, [*map(run, few.inputs)], words, few_base, few_classes, budget)
        if trial.drop <= hopeless:
            trial = _trial(judge, [*map(run, judge.inputs)], words, base, base_classes, budget)
        trials.append(trial)
        if trial.within_budget:
            chosen = take(model, moves)
            break
    record = ApproximationRecord(
        words=trials[-1].words if chosen else "none",
        metric=judge.metric,
        max_drop=SHARE * budget,
        max_class_drop=CLASS_SHARE * budget,
        trials=tuple(trials),
        unjudged=tuple(name for name, value in base_classes.items() if value != value),
    )
    return chosen, record


def _trial(
    judge: "Judge",
    outputs: "Sequence[Arrays]",
    words: str,
    base: float,
    base_classes: dict[str, float],
    budget: float,
) -> MoveTrial:
    value, classes = judge.rate(outputs)
    # a class that no picture shows has no figure, or one of its few false alarms, which moves may silence
    drops = {
        name: base_classes[name] - found for name, found in classes.items() if base_classes[name] >= 0 and found >= 0
    }
    worst, drop = max(drops, key=drops.__getitem__, default=None), lost(base, value)
    within = drop <= SHARE * budget and all(drop <= CLASS_SHARE * budget for drop in drops.values())
    return MoveTrial(
        words=words,
        pictures=len(outputs),
        value=round(value, 5),
        drop=round(drop, 5),
        worst_class=worst,
        worst_class_drop=round(drops[worst], 5) if worst else None,
        within_budget=within,
    )
