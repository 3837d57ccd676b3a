"""What "auto" is to take of a bundle: the fastest of what holds the budget and lies within verify's tolerance."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvt_edge.bundle.schema import AccuracyRecord, Precision
from pvt_edge.export.graph import INPUT_NAME
from pvt_edge.export.precision.record import Latency
from pvt_edge.export.precision.trial import measure
from pvt_edge.export.request import ENGINE_FORMATS
from pvt_edge.runtimes import open_runtime
from pvt_edge.verification.checks import APPROXIMATED, outside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.options.export import Tune

ONNX_SECONDS, QUICK_ONNX_SECONDS = 6.0, 2.0


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
        beyond = outside(task, APPROXIMATED if precision in approximated else precision, figures)
        if beyond and agreement:
            words = f"outside the tolerance of pvt-edge verify on {agreement.data}: {beyond}"
            found[name] = f"{found[name]}; {words}" if name in found else words
    for precision in graphs:
        if (why := found.get(f"onnxruntime-{precision}")) is not None:
            found |= {f"{library}-{precision}": f"its graph is {why}" for library in ENGINE_FORMATS}
    return found


def time_onnx(files: Mapping[Precision, Path], picture: "NDArray[np.uint8]", tune: "Tune") -> dict[Precision, Latency]:
    """What ONNX files take in ONNX Runtime here, in turns; empty where nothing is to be timed."""
    if tune == "off":
        return {}
    with ExitStack() as opened:
        runtimes = {p: opened.enter_context(open_runtime("onnxruntime", path)) for p, path in files.items()}
        batch = max(next(iter(runtimes.values())).inputs[0].shape[0], 1)
        feeds = {INPUT_NAME: np.repeat(picture, batch, axis=0)}
        seconds = ONNX_SECONDS if tune == "full" else QUICK_ONNX_SECONDS
        latency = measure({p: partial(runtime.infer, feeds) for p, runtime in runtimes.items()}, seconds)
    return {precision: latency[precision] for precision in files}


def rank_onnx(files: Collection[Precision], latency: Mapping[Precision, Latency]) -> list[Precision]:
    """The precisions of ONNX files, the fastest first; float first where nothing was timed.

    ONNX Runtime has no CPU kernels for float16, and those for int8 need a CPU that has dot products of bytes.
    """
    order: tuple[Precision, ...] = ("approx", "fp32", "fp16", "int8")
    known = [precision for precision in order if precision in files]
    return sorted(known, key=lambda p: latency[p].p50) if latency else known


def choose_auto(preferred: Mapping[str, Sequence[Precision]], excluded: Mapping[str, str]) -> dict[str, Precision]:
    """By runtime the first of the `preferred` precisions that is not excluded; none where all are."""
    allowed = {
        runtime: [precision for precision in order if f"{runtime}-{precision}" not in excluded]
        for runtime, order in preferred.items()
    }
    return {runtime: order[0] for runtime, order in allowed.items() if order}
