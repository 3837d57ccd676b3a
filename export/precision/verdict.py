"""A search in a line: what was timed, whether INT8 is written and why."""

from collections.abc import Collection, Mapping

from pvt_edge.export.precision.record import Candidate, Metric, SearchRecord

FLOAT = ("fp32", "bf16", "approx")
EXACT = ("fp32", "bf16")


def verdict(
    candidates: Mapping[str, Candidate],
    placements: Collection[str] | None,
    *,
    metric: Metric,
    max_drop: float | None,
    threads: int,
) -> str:
    """One line: "int8 14.2 ms, bf16 17.9 ms, fp32 31.0 ms (p50, 2 threads): int8 kept, AP -0.003".

    `placements` are the names of the candidates that place INT8, None where only "approx" was asked for.
    """
    if placements is None:
        return _approx_verdict(candidates, metric=metric, max_drop=max_drop, threads=threads)
    placed = [candidates[name] for name in placements]
    best = next((c for c in placed if c.chosen), None)
    shown = best or min((c for c in placed if c.within_budget), key=p50, default=None)
    head, end = _times(candidates, shown, threads), _over_budget(candidates, max_drop)
    if not head:
        end = f"; nothing was timed{end}"
    if best:
        return f"{head}int8 kept, {metric.words} {0.0 - best.drop:+.3f}{end}"
    if shown is None:
        least = min(placed, key=lambda c: c.drop, default=None)
        lost = f"the best placement tried loses {least.drop:.4f}" if least else "none was tried"
        return f"{head}int8 not written: {metric.words} may fall by {max_drop}, {lost}; allow more with --max-drop{end}"
    return f"{head}int8 not written for OpenVINO: it is not faster here{end}"


def _approx_verdict(
    candidates: Mapping[str, Candidate], *, metric: Metric, max_drop: float | None, threads: int
) -> str:
    """ "approx 20.1 ms, fp32 31.0 ms (p50, 2 threads): approx kept, AP -0.003" """
    approx, head = candidates["approx"], _times(candidates, None, threads)
    end = "" if head else "; nothing was timed"
    if not approx.within_budget:
        lost = f"{metric.words} may fall by {max_drop}, it loses {approx.drop:.4f}"
        return f"{head}approx not written: {lost}; allow more with --max-drop{end}"
    kept = "approx kept" if pays(candidates) else "approx is not faster here"
    return f"{head}{kept}, {metric.words} {0.0 - approx.drop:+.3f}{end}"


def pays(candidates: Mapping[str, Candidate]) -> bool:
    """Whether "approx" holds the budget, and no exact float that does is as fast."""
    approx = candidates.get("approx")
    if approx is None or not approx.within_budget:
        return False
    exact = [candidates[name] for name in EXACT if name in candidates and candidates[name].within_budget]
    return approx.latency is None or all(p50(approx) < p50(candidate) for candidate in exact)


def _times(candidates: Mapping[str, Candidate], int8: Candidate | None, threads: int) -> str:
    """ "int8 14.2 ms, fp32 31.0 ms (p50, 2 threads): "; "" where nothing was timed."""
    rows = [("int8", int8), *((name, candidates.get(name)) for name in ("approx", "bf16", "fp32"))]
    times = [f"{name} {c.latency.p50:.1f} ms" for name, c in rows if c and c.latency]
    return f"{', '.join(times)} (p50, {threads} threads): " if times else ""


def _over_budget(candidates: Mapping[str, Candidate], max_drop: float | None) -> str:
    """Which floats lose more than the budget."""
    over = [c for name in ("bf16", "approx") if (c := candidates.get(name)) is not None and not c.within_budget]
    return "".join(f"; {c.name} loses {c.drop:.4f}, more than the budget of {max_drop:g}" for c in over)


def onnx_verdict(record: SearchRecord) -> str | None:
    """One line: "in ONNX Runtime int8 12.0 ms, fp32 18.6 ms (p50): 1.55 times faster"; None where nothing was timed."""
    int8, fp32 = record.onnx_latency.get("int8"), record.onnx_latency.get("fp32")
    if int8 is None or fp32 is None:
        return None
    times = f"in ONNX Runtime int8 {int8.p50:.1f} ms, fp32 {fp32.p50:.1f} ms (p50)"
    return f"{times}: " + (f"{fp32.p50 / int8.p50:.2f} times faster" if int8.p50 < fp32.p50 else "not faster here")


def p50(candidate: Candidate) -> float:
    """The median in ms, infinite where it was not timed."""
    return candidate.latency.p50 if candidate.latency else float("inf")
