"""The sections of report.md on TensorRT: what its graphs lose, the overflow audit, the engines."""

from pvt_edge.bundle.schema import Manifest
from pvt_edge.export.precision.record import ActivationRange, TensorRtRecord
from pvt_edge.export.precision.sensitivity import most_sensitive_first
from pvt_edge.reporting.markdown import bullets, code, plain, table
from pvt_edge.reporting.rounding import counted, drop, fraction

KINDS = {
    "norm": "inputs of LayerNorm",
    "residual": "residual sums",
    "reduction": "outputs of spatial reductions",
    "softmax": "inputs of softmax",
    "other": "everything else",
}
WIDEST_SHOWN = SENSITIVE_SHOWN = 10


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
    for kind, words in KINDS.items():
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
