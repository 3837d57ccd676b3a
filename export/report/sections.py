"""Sections of report.md: where INT8 is, stage by stage; moves alone; TensorRT's graphs, audit and engines."""

import re
from collections.abc import Iterable, Sequence

from pvt_edge.bundle.schema import Manifest
from pvt_edge.export.precision.record import ActivationRange, ApproximationRecord, SearchRecord, TensorRtRecord
from pvt_edge.export.precision.sensitivity import most_sensitive_first
from pvt_edge.reporting.wording import NOTHING, bullets, code, counted, drop, fraction, ms, plain, table

AUDITED = {
    "norm": "inputs of LayerNorm",
    "residual": "residual sums",
    "reduction": "outputs of spatial reductions",
    "softmax": "inputs of softmax",
    "other": "everything else",
}
WIDEST_SHOWN = SENSITIVE_SHOWN = 10


def part_of(block: str) -> str:
    """The stage, or what a block outside of the stages lies in.

    >>> part_of("stages.0.blocks.1.attn.q"), part_of("neck.output.2")
    ('stages.0', 'neck')
    """
    stage = re.match(r"(?:.*\.)?stages\.\d+(?=\.|$)", block)
    return stage.group() if stage else block.split(".")[0]


def by_part(blocks: Iterable[str]) -> dict[str, list[str]]:
    """Part -> its blocks, in the order they came in."""
    parts: dict[str, list[str]] = {}
    for block in blocks:
        parts.setdefault(part_of(block), []).append(block)
    return parts


def compact(blocks: Sequence[str]) -> list[str]:
    """Patterns with braces that stand for exactly these blocks, as a shell would expand them.

    >>> compact(["b.0.fc1", "b.0.fc2", "b.1.fc1", "b.1.fc2", "head"])
    ['b.{0,1}.{fc1,fc2}', 'head']
    """
    names = [block.split(".") for block in dict.fromkeys(blocks)]
    rank = {part: i for i, part in enumerate(dict.fromkeys(part for name in names for part in name))}

    def order(part: str) -> tuple[int, int]:
        """Numbers as numbers, words in the order they came in: alike in every block, so that blocks can be merged."""
        return (int(part), 0) if part.isdecimal() else (-1, rank[part])

    terms: list[tuple[tuple[str, ...], ...]] = [tuple((part,) for part in name) for name in names]
    for position in reversed(range(max(map(len, terms), default=0))):
        # Terms that differ in this position only become one.
        merged: dict[tuple[object, ...], list[tuple[str, ...]]] = {}
        for term in terms:
            choices = term[position] if position < len(term) else ()
            known = merged.setdefault((term[:position], term[position + 1 :], bool(choices)), [*term])
            if choices:
                known[position] = tuple(sorted({*known[position], *choices}, key=order))
        terms = [tuple(term) for term in merged.values()]
    return [".".join(map(_braces, term)) for term in terms]


def _braces(parts: tuple[str, ...]) -> str:
    """One part as it is, several in braces, with three or more numbers in a row as a range: {0,2..5}."""
    if len(parts) == 1:
        return parts[0]
    runs: list[list[str]] = []
    for part in parts:
        if runs and part.isdecimal() and runs[-1][-1].isdecimal() and int(part) == int(runs[-1][-1]) + 1:
            runs[-1].append(part)
        else:
            runs.append([part])
    return "{" + ",".join(f"{run[0]}..{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs) + "}"


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


def moves_alone_section(record: ApproximationRecord) -> str:
    """The section of report.md on moves alone, where `--tune full` measured them."""
    assert record.metric is not None
    words = plain(record.metric.words)
    rows = [[plain(row.words), drop(row.drop), ms(row.ms_saved), ms(row.exact_ms)] for row in record.alone]
    return "\n\n".join(
        [
            "### Each move alone",
            f"{counted(len(rows), 'move')}, least loss per millisecond first: the sets above are the first so many of "
            f"these. In float, on the first pictures of {plain(record.metric.data)}, timed in turns with the exact "
            "graph.",
            table(["move", f"drop of {words}", "ms saved", "of ms"], rows, words=1),
        ]
    )


def tensorrt_sections(manifest: Manifest, record: TensorRtRecord) -> list[str]:
    """The sections, in order."""
    return [_graphs(record), _audit(record), *([_engines(manifest)] if _passports(manifest) else [])]


def _graphs(record: TensorRtRecord) -> str:
    metric = plain(record.metric.words)
    rows = [
        [
            plain(trial.name),
            plain(trial.words),
            str(trial.int8_blocks),
            str(trial.float_blocks),
            fraction(trial.value),
            drop(trial.drop),
            "not gated" if record.max_drop is None else "yes" if trial.within_budget else "no",
        ]
        for trial in record.trials
    ]
    columns = ["graph", "what it is", "INT8 blocks", "float blocks", metric, "drop", "within budget"]
    lines = [
        "## Graphs for TensorRT",
        f"Strongly typed: every type is in the graph. Judged in ONNX Runtime on the CPU by {metric} on "
        f"{plain(record.metric.data)}.",
        table(columns, rows, words=2),
    ]
    if record.sensitivities:
        worst = sorted(record.sensitivities, key=most_sensitive_first)[:SENSITIVE_SHOWN]
        names = ", ".join(f"{code(row.block)} ({drop(row.drop)})" for row in worst)
        lines.append(f"Blocks that lose most with only them in INT8, of {len(record.sensitivities)}: {names}.")
    if record.notes:
        lines.append(bullets([plain(note) for note in record.notes]))
    return "\n\n".join(lines)


def _audit(record: TensorRtRecord) -> str:
    audit = record.audit
    rows = []
    for kind, words in AUDITED.items():
        of_kind = [row for row in audit.ranges if row.kind == kind]
        if of_kind:
            widest = max(of_kind, key=_largest)
            rows.append([words, str(len(of_kind)), f"{widest.largest:.4g}", code(widest.block)])
    pinned = [row for row in audit.ranges if row.pinned]
    lines = [
        "## Overflow audit",
        f"The largest magnitude of every activation that float16 would hold, on {plain(audit.pictures)}. Float16 ends "
        f"at {audit.limit:.0f}; what comes within a factor of {audit.headroom:g} of that stays float32.",
        table(["where", "number", "largest", "in or behind"], rows, words=1),
        "Pinned to float32: " + (", ".join(f"{code(r.block)} ({r.kind}, {r.largest:.4g})" for r in pinned) or "none")
        + ".",
        "The widest:",
        table(
            ["in or behind", "where", "lowest", "highest"],
            [[code(r.block), plain(r.kind), f"{r.lowest:.4g}", f"{r.highest:.4g}"] for r in _widest(record)],
            words=2,
        ),
    ]  # fmt: skip
    more = len(audit.ranges) - WIDEST_SHOWN
    if more > 0:
        lines.append(f"{counted(more, 'more activation')} in `report.json`.")
    return "\n\n".join(lines)


def _largest(row: ActivationRange) -> float:
    return row.largest if row.largest == row.largest else float("inf")  # NaN first


def _widest(record: TensorRtRecord) -> list[ActivationRange]:
    return sorted(record.audit.ranges, key=_largest, reverse=True)[:WIDEST_SHOWN]


def _passports(manifest: Manifest) -> list[tuple[str, dict[str, str]]]:
    return [(a.file, a.passport) for a in manifest.artifacts if a.passport]


def _engines(manifest: Manifest) -> str:
    keys = ("library", "version", "target", "gpu", "compute_capability", "build_seconds")
    rows = [[code(file), *(plain(passport.get(key) or "") for key in keys)] for file, passport in _passports(manifest)]
    return "## Engines\n\n" + table(["file", *(key.replace("_", " ") for key in keys)], rows, words=4)
