"""The floor under a row: what its operations and bytes take at the peaks of this machine."""

from collections.abc import Sequence

from pvt_edge.benchmarks.graph_costs import GraphCosts, read_costs
from pvt_edge.benchmarks.record import Floor, Peaks
from pvt_edge.benchmarks.rows import Plan
from pvt_edge.runtimes import missing


def find_costs(plans: Sequence[Plan]) -> dict[str, GraphCosts]:
    """What the graph of each row's file costs, by the row's name; nothing where OpenVINO is not here to read them."""
    if missing("openvino") is not None:
        return {}
    found: dict[tuple[str, int], GraphCosts] = {}
    costs = {}
    for plan in plans:
        if plan.opening is None or plan.opening.path is None or plan.opening.on_gpu:
            continue
        key = plan.opening.path, plan.row.batch
        try:
            found[key] = found.get(key) or read_costs(*key)
        except RuntimeError:  # what OpenVINO cannot read has no floor
            continue
        costs[plan.name] = found[key]
    return costs


def find_floor(costs: GraphCosts, peaks: Peaks, *, precision: str, float_precision: str, p50_ms: float) -> Floor | None:
    """The larger of arithmetic at the peak and weights, input and outputs through main memory once.

    `precision` is the row's; what an int8 row keeps float runs in `float_precision`. None where no peak was measured
    for it. Activations are left out, as they may stay in the caches: no run can be faster than this, unless the
    weights themselves stay there.
    """
    tops = peaks.tera_operations
    if float_precision not in tops or (precision == "int8" and "int8" not in tops):
        return None
    int8_macs = costs.int8_macs if precision == "int8" else 0
    arithmetic_ms = 2e-9 * ((costs.macs - int8_macs) / tops[float_precision] + int8_macs / tops.get("int8", 1.0))
    memory_ms = (costs.weight_bytes(float_precision) + costs.io_bytes) / peaks.copy_gb_per_second / 1e6
    floor_ms = max(arithmetic_ms, memory_ms)
    return Floor(
        floor_ms=round(floor_ms, 4),
        bound="arithmetic" if arithmetic_ms >= memory_ms else "memory",
        distance=round(p50_ms / floor_ms, 3),
    )
