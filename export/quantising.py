"""The INT8 part of an export: what it is judged by, the search, and the files of what it chose."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pvt_edge.errors import ExportError
from pvt_edge.export.precision.layers import Ranges, find_blocks, observe
from pvt_edge.export.precision.recipes import RECORDED
from pvt_edge.export.precision.record import GraphTrial
from pvt_edge.export.precision.search import Placement, Search
from pvt_edge.precision_plan import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import openvino

    from pvt_edge.bundle.schema import Precision
    from pvt_edge.comparison.difference import Arrays
    from pvt_edge.export.calibration import CalibrationSet
    from pvt_edge.export.precision.judge import Judge
    from pvt_edge.export.precision.record import Latency, SearchRecord
    from pvt_edge.export.request import ExportRequest
    from pvt_edge.precision_plan import PrecisionPlan

NOT_FASTER = "the approximation is not faster here than exact floats"
INT8_NOT_FASTER = "int8 is not faster here than floats"


@dataclass(frozen=True)
class Quantisation:
    """What a search found: whether its fastest placement of INT8 within the budget, `plan`, is worth writing for
    OpenVINO, says the record; ONNX Runtime's kernels are others. `plan` is None where none holds the budget.
    """

    search: Search
    record: "SearchRecord"
    plan: "PrecisionPlan | None"

    @property
    def blocks(self) -> frozenset[str]:
        """The blocks of the plan that run in INT8."""
        name = self.search.fastest_placement
        return self.search.placements[name] if name else frozenset()

    def openvino_model(self) -> "openvino.Model":
        """The placement for OpenVINO."""
        return self.search.placed(self.blocks)

    def judge_onnx(self, outputs: "Sequence[Arrays]") -> "Quantisation":
        """The same with the placement as ONNX Runtime runs it, judged by what it gave on the judge's pictures: its
        kernels round in their own way."""
        trial = self._judged("int8 onnx", "the placement, in ONNX Runtime", outputs, len(self.blocks))
        return replace(self, record=self.record.model_copy(update={"onnx": trial}))

    def judge_onnx_approx(self, outputs: "Sequence[Arrays]") -> "Quantisation":
        """The same with the approximation in float."""
        trial = self._judged("approx onnx", "the moves in float32, in ONNX Runtime", outputs, 0)
        return replace(self, record=self.record.model_copy(update={"onnx_approx": trial}))

    def _judged(self, name: str, words: str, outputs: "Sequence[Arrays]", int8_blocks: int) -> GraphTrial:
        value, details = self.search.judge.judge(outputs)
        drop, budget = self.search.base - value, self.search.max_drop
        return GraphTrial(
            name=name,
            words=words,
            int8_blocks=int8_blocks,
            float_blocks=len(self.search.blocks) - int8_blocks,
            value=round(value, 5),
            drop=round(drop, 5),
            details={key: round(number, 5) for key, number in details.items()},
            within_budget=budget is None or drop <= budget,
        )

    def time_onnx(self, latency: "Mapping[Precision, Latency]") -> "Quantisation":
        """The same with what ONNX Runtime's files take, by precision."""
        return replace(self, record=self.record.model_copy(update={"onnx_latency": dict(latency)}))


def quantise(
    model: "openvino.Model",
    judge: "Judge",
    calibration: "CalibrationSet | None",
    request: "ExportRequest",
    variant: str,
    input_name: str,
    on_step: "Callable[[str], None]",
    exact: "openvino.Model | None" = None,
    left_out: "Sequence[str]" = (),
) -> Quantisation:
    """Find INT8's place in `model` (float, OpenVINO's form), as `request` asks; raises a `PvtEdgeError`.

    What it loses is measured against `exact`, where `model` itself is an approximation of that, with blocks `left_out`.
    Without a `calibration`, for no INT8 is asked for, only floats are judged.
    """
    known = find_blocks(model)
    given: frozenset[str] | None = None
    placement: Placement = "searched"
    budget, approx = request.budget(judge.metric.name), request.approx and exact is not None
    if calibration is None:
        search = Search(model, Ranges(), judge, variant, budget, on_step, "none", exact=exact, approx=approx)
        record = search.run(frozenset(), "off" if request.tune == "off" else "quick")
        return Quantisation(search, record, None)
    if request.plan is not None:
        given, placement = request.plan.int8_blocks(known, left_out), "given"
        if not given:
            raise ExportError("the precision plan runs no block in INT8: leave --int8 out (precisions= in Python)")
    elif request.tune != "full":
        given, placement = RECORDED.blocks(known), "recorded"
    on_step(f"observing ranges on {len(calibration.inputs)} pictures")
    batches = calibration.batches(1 if request.options.dynamic_batch else request.options.batch)
    ranges = observe(model, batches, input_name)
    search = Search(model, ranges, judge, variant, budget, on_step, placement, exact=exact, approx=approx)
    record = search.run(given, request.tune)
    name = search.fastest_placement
    plan = plan_of(variant, judge.task, known, search.placements[name]) if name else None
    return Quantisation(search, record, plan)


def beyond(drop: float, record: "SearchRecord") -> str:
    """How a loss is too large: "loses 0.0312 of AP on 48 scenes, more than the budget of 0.02"."""
    metric = record.metric
    return f"loses {drop:.4f} of {metric.words} on {metric.data}, more than the budget of {record.max_drop:g}"
