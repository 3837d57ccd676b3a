"""What a run will measure: the bundle's rows, and those of what it is compared with, exported on the spot."""

from collections.abc import Callable
from pathlib import Path

from pvt_edge.benchmarks.comparison_models import COMPARISON_MODELS, STOCK
from pvt_edge.benchmarks.estimate import estimate_words
from pvt_edge.benchmarks.opening import TorchModel
from pvt_edge.benchmarks.options import Options
from pvt_edge.benchmarks.record import ModelFacts
from pvt_edge.benchmarks.rows import Plan, check_any, plan_rows
from pvt_edge.benchmarks.stock import plan_comparison, plan_stock, stock_rows
from pvt_edge.bundle import Bundle


def plan_run(
    bundle: Bundle,
    options: Options,
    torch_model: TorchModel | str,
    folder: Path,
    *,
    tell: Callable[[str], None],
    announce: Callable[[str], None] | None,
) -> tuple[list[Plan], list[ModelFacts]]:
    """Every row, and what the comparison models are; the files of `options.compare` are written to `folder`.

    `tell` hears of each export, `announce` before them how long the run will take. Raises a `PvtEdgeError` where
    nothing can run.
    """
    choice = options.choice
    batches = choice.batches or (bundle.manifest.input.batch,)
    plans = plan_rows(bundle, choice, torch_model)
    if announce:
        others = [name for name in options.compare if name != STOCK or not isinstance(torch_model, str)]
        exports = len(others) * len(batches)
        runtimes = [plan.row.runtime for plan in plans if plan.opening is not None]
        runtimes += [runtime for runtime, _ in stock_rows(choice)] * exports
        announce(estimate_words(runtimes, options, stock_exports=exports))
    models: dict[str, ModelFacts] = {}
    for name in options.compare:
        tell(f"exporting {name} by the default route")
        for batch in batches:
            if name == STOCK:
                plans += plan_stock(bundle, choice, torch_model, folder, batch)
                continue
            found = plan_comparison(bundle, choice, COMPARISON_MODELS[name], folder, batch)
            plans += found.plans
            models |= {name: found.model} if found.model is not None else {}
    check_any(plans)
    return plans, list(models.values())
