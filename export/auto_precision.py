"""What "auto" is to take of a bundle: the fastest of what holds the budget and lies within verify's tolerance."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from pvt_edge.bundle.schema import AccuracyRecord, Precision
from pvt_edge.export.request import ENGINE_FORMATS
from pvt_edge.verification.tolerance import APPROXIMATED, outside


def find_excluded(
    task: str,
    agreement: AccuracyRecord | None,
    over_budget: Mapping[str, str],
    graphs: Iterable[Precision],
    approximated: Collection[str] = (),
) -> dict[str, str]:
    """Why "auto" may not take what, by runtime and precision: {"openvino-bf16": "loses 0.0312 of ..."}.

    `over_budget` is what was judged beyond the budget, by the same names; `graphs` are the precisions of TensorRT's
    graphs, whose engines answer as the graph does; `approximated` those whose files make moves.
    """
    found = dict(over_budget)
    for name, figures in (agreement.metrics if agreement else {}).items():
        precision = name.rpartition("-")[2]
        told = outside(task, APPROXIMATED if precision in approximated else precision, figures)
        if told and agreement:
            words = f"outside the tolerance of pvt-edge verify on {agreement.data}: {told}"
            found[name] = f"{found[name]}; {words}" if name in found else words
    for precision in graphs:
        if (why := found.get(f"onnxruntime-{precision}")) is not None:
            found |= {f"{library}-{precision}": f"its graph is {why}" for library in ENGINE_FORMATS}
    return found


def choose_auto(preferred: Mapping[str, Sequence[Precision]], excluded: Mapping[str, str]) -> dict[str, Precision]:
    """By runtime the first of the `preferred` precisions that is not excluded; none where all are."""
    allowed = {
        runtime: [precision for precision in order if f"{runtime}-{precision}" not in excluded]
        for runtime, order in preferred.items()
    }
    return {runtime: order[0] for runtime, order in allowed.items() if order}
