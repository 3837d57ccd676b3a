"""Which blocks run in INT8 and which in float, stage by stage."""

from collections.abc import Sequence

from pvt_edge.bundle.schema import Manifest
from pvt_edge.export.precision.record import SearchRecord
from pvt_edge.export.report.blocks import by_part, compact
from pvt_edge.reporting.markdown import code, table
from pvt_edge.reporting.rounding import NOTHING, counted


def placement_section(manifest: Manifest, search: SearchRecord) -> str:
    """The section of report.md that says where INT8 is."""
    plan = manifest.precision_plan
    if plan is None:
        return f"## Where INT8 is\n\n{_unplaced(search)}"
    rows = [
        [code(part), *(_cell([block for block in blocks if plan[block] == taken]) for taken in ("int8", "float"))]
        for part, blocks in by_part(plan).items()
    ]
    count = sum(taken == "int8" for taken in plan.values())
    lines = [
        "## Where INT8 is",
        f"{counted(count, 'block')} in INT8, {len(plan) - count} in float.",
        table(["part", "INT8", "float"], rows, words=3),
    ]
    # a plan may name a module, which stands for all blocks in it
    unnamed = [s.block for s in search.sensitivities if not any(f"{s.block}.".startswith(f"{name}.") for name in plan)]
    if unnamed:
        lines.append(f"Not in the plan, and so in float: {_spans(unnamed, ', ')}.")
    return "\n\n".join(lines)


def _unplaced(search: SearchRecord) -> str:
    """What there is to say without a plan."""
    if not search.kept:
        return "Nowhere: all blocks run in float."
    chosen = next((c for c in search.candidates if c.chosen), None)
    counts = f"{counted(chosen.int8_blocks, 'block')} in INT8, {chosen.float_blocks} in float; " if chosen else ""
    return f"{counts}`model.json` names none of them."


def _cell(blocks: Sequence[str]) -> str:
    return _spans(blocks, "<br>") if blocks else NOTHING


def _spans(blocks: Sequence[str], separator: str) -> str:
    return separator.join(code(pattern) for pattern in compact(blocks))
