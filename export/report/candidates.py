"""What the report reads off a search besides its own figures."""

from math import isfinite

from pvt_edge.export.precision.record import BlockSensitivity, Candidate, SearchRecord


def reference_value(search: SearchRecord) -> float | None:
    """The metric's value of FP32, by any candidate's own account; None where there is no candidate."""
    return next((c.value + c.drop for c in search.candidates if isfinite(c.value + c.drop)), None)


def speedup(search: SearchRecord, candidate: Candidate) -> float | None:
    """How many times faster than fp32 `candidate` is at the median; None where one of the two was not timed."""
    fp32 = next((c.latency for c in search.candidates if c.name == "fp32"), None)
    if fp32 is None or candidate.latency is None or candidate.latency.p50 <= 0:
        return None
    return fp32.p50 / candidate.latency.p50


def precision_of(candidate: Candidate) -> str:
    """`int8`, or the name of the precision that a candidate without INT8 is: `fp32`, `bf16`."""
    return "int8" if candidate.int8_blocks else candidate.name


def most_sensitive(search: SearchRecord) -> list[BlockSensitivity]:
    """The blocks measured alone, the largest drop first; what is no number at all counts as the largest."""
    return sorted(search.sensitivities, key=lambda block: -block.drop if isfinite(block.drop) else float("-inf"))
