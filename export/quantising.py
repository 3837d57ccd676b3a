"""The INT8 part of an export: what it is judged by, the search, and the files of what it chose."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import ExportError
from pvt_edge.export.precision.judge import ALL, AgreementJudge, Judge, labelled_judge
from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.export.precision.onnx_session import outputs_of
from pvt_edge.export.precision.plan import plan_of
from pvt_edge.export.precision.ranges import observe
from pvt_edge.export.precision.recipes import RECORDED
from pvt_edge.export.precision.record import GraphTrial
from pvt_edge.export.precision.search import Placement, Search
from pvt_edge.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    import openvino

    from pvt_edge.export.calibration import CalibrationSet
    from pvt_edge.export.precision.plan import PrecisionPlan
    from pvt_edge.export.precision.record import SearchRecord
    from pvt_edge.export.request import ExportRequest

AGREEMENT_PICTURES = 64


@dataclass(frozen=True)
class Quantisation:
    """What a search chose: `plan` and the blocks it runs in INT8 are None where INT8 is not worth writing."""

    search: Search
    record: "SearchRecord"
    plan: "PrecisionPlan | None"

    @property
    def blocks(self) -> frozenset[str]:
        """The blocks that run in INT8."""
        return self.search.placements[self.search.chosen] if self.search.chosen else frozenset()

    def openvino_model(self) -> "openvino.Model":
        """The chosen placement for OpenVINO."""
        return self.search.placed(self.blocks)

    def judge_onnx(self, model: "onnx.ModelProto") -> "Quantisation":
        """The same with `model`, the placement as ONNX Runtime runs it, judged: its kernels round in their own way."""
        value, details = self.search.judge.judge(outputs_of(model, self.search.judge.inputs))
        drop, budget = self.search.base - value, self.search.max_drop
        trial = GraphTrial(
            name="int8 onnx",
            words="the placement kept, in ONNX Runtime",
            int8_blocks=len(self.blocks),
            float_blocks=len(self.search.blocks) - len(self.blocks),
            value=round(value, 5),
            drop=round(drop, 5),
            details={key: round(number, 5) for key, number in details.items()},
            within_budget=budget is None or drop <= budget,
        )
        return replace(self, record=self.record.model_copy(update={"onnx": trial}))

    def onnx_model(self, fp32: "onnx.ModelProto") -> "onnx.ModelProto":
        """The chosen placement for ONNX Runtime and TensorRT, made of the exported `fp32`."""
        from pvt_edge.export.precision.qdq import add_qdq

        return add_qdq(fp32, self.blocks, self.search.ranges)


def quantise(
    model: "openvino.Model",
    judge: Judge,
    calibration: "CalibrationSet",
    request: "ExportRequest",
    variant: str,
    input_name: str,
    tell: "Callable[[str], None]",
    exact: "openvino.Model | None" = None,
) -> Quantisation:
    """Find INT8's place in `model` (float, OpenVINO's form), as `request` asks; raises a `PvtEdgeError`.

    What it loses is measured against `exact`, where `model` itself is an approximation of that.
    """
    known = find_blocks(model)
    given: frozenset[str] | None = None
    placement: Placement = "searched"
    if request.plan is not None:
        given, placement = request.plan.int8_blocks(known), "given"
        if not given:
            raise ExportError("the precision plan runs no block in INT8: leave --int8 out (precisions= in Python)")
    elif request.tune != "full":
        given, placement = RECORDED.blocks(known), "recorded"
    tell(f"observing ranges on {len(calibration.inputs)} pictures")
    batches = calibration.batches(1 if request.dynamic_batch else request.batch)
    ranges = observe(model, batches, input_name)
    budget = request.budget(judge.metric.name)
    search = Search(model, ranges, judge, variant, budget, tell, placement, exact=exact)
    record = search.run(given, request.tune)
    plan = plan_of(variant, judge.task, known, search.placements[search.chosen]) if search.chosen else None
    return Quantisation(search, record, plan)


def beyond(drop: float, record: "SearchRecord") -> str:
    """How a loss is too large: "loses 0.0312 of AP on 48 scenes, more than the budget of 0.02"."""
    metric = record.metric
    return f"loses {drop:.4f} of {metric.words} on {metric.data}, more than the budget of {record.max_drop:g}"


def make_judge(
    request: "ExportRequest",
    task: str,
    calibration: "CalibrationSet",
    scenes: "tuple[Path, str] | None",
    part: slice = ALL,
) -> Judge:
    """The judge that `request` asks for, on a `part` of its pictures.

    `scenes` are the bundled weights' own labelled data, and what it is: all of it, for other scenes can be drawn.
    """
    metric = get_task(task).metric
    labelled = metric is not None and request.metric in ("auto", metric[0])
    if not labelled and request.metric not in ("auto", "agreement"):
        raise ExportError(f"the metric {request.metric} does not judge {task}: take auto or agreement")
    if labelled and request.data is not None:
        return labelled_judge(
            task,
            request.data,
            request.images,
            request.labels,
            request.imgsz,
            request.resize,
            request.postprocess,
            pixel_max=request.pixel_max,
            part=part,
        )
    if labelled and scenes is not None:
        annotations, words = scenes
        folder, post = annotations.parent / "images", request.postprocess
        return labelled_judge(
            task, annotations, folder, request.labels, request.imgsz, request.resize, post, words=words
        )
    inputs = calibration.inputs[part][:AGREEMENT_PICTURES]
    return AgreementJudge(inputs, task, request.postprocess, f"{len(inputs)} calibration pictures, unlabelled")
