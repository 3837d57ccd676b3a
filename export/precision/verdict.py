"""A search in a line: what was timed, whether INT8 is written and why."""

from collections.abc import Collection, Mapping

from pvt_edge.export.precision.record import Candidate, Metric

FLOAT = ("fp32", "bf16")


def verdict(
    candidates: Mapping[str, Candidate],
    placements: Collection[str],
    *,
    metric: Metric,
    max_drop: float | None,
    threads: int,
) -> str:
    """One line: "int8 14.2 ms, bf16 17.9 ms, fp32 31.0 ms (p50, 2 threads): int8 kept, AP -0.003".

    `placements` are the names of the candidates that place INT8.
    """
    placed = [candidates[name] for name in placements]
    best = next((c for c in placed if c.chosen), None)
    shown = best or min((c for c in placed if c.within_budget), key=p50, default=None)
    rows = [("int8", shown), *((name, candidates.get(name)) for name in reversed(FLOAT))]
    times = [f"{name} {c.latency.p50:.1f} ms" for name, c in rows if c and c.latency]
    head = f"{', '.join(times)} (p50, {threads} threads): " if times else ""
    end = "" if times else "; nothing was timed"
    bf16 = candidates.get("bf16")
    if bf16 is not None and not bf16.within_budget:
        end += f"; bf16 loses {bf16.drop:.4f}, more than the budget of {max_drop:g}"
    if best:
        return f"{head}int8 kept, {metric.words} {0.0 - best.drop:+.3f}{end}"
    if shown is None:
        least = min(placed, key=lambda c: c.drop, default=None)
        lost = f"the best placement tried loses {least.drop:.4f}" if least else "none was tried"
        return f"{head}int8 not written: {metric.words} may fall by {max_drop}, {lost}; allow more with --max-drop{end}"
    return f"{head}int8 not written: it is not faster here{end}"


def p50(candidate: Candidate) -> float:
    """The median in ms, infinite where it was not timed."""
    return candidate.latency.p50 if candidate.latency else float("inf")
