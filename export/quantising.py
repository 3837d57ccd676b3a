"""The INT8 part of an export: what it is judged by, the search, and the files of what it chose."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import ExportError
from pvt_edge.export.precision.judge import AgreementJudge, Judge, box_judge, top1_judge
from pvt_edge.export.precision.layers import find_blocks
from pvt_edge.export.precision.plan import plan_of, read_plan
from pvt_edge.export.precision.ranges import observe
from pvt_edge.export.precision.recipes import RECORDED
from pvt_edge.export.precision.search import Placement, Search

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
) -> Quantisation:
    """Find INT8's place in `model` (float, OpenVINO's form), as `request` asks; raises a `PvtEdgeError`."""
    known = find_blocks(model)
    given: frozenset[str] | None = None
    placement: Placement = "searched"
    if request.plan is not None:
        given, placement = read_plan(request.plan, variant, judge.task).int8_blocks(known), "given"
        if not given:
            raise ExportError(
                f"the precision plan {request.plan} runs no block in INT8: leave --int8 out (precisions= in Python)"
            )
    elif not request.tune:
        given, placement = RECORDED[judge.task].blocks(known), "recorded"
    tell(f"observing ranges on {len(calibration.inputs)} pictures")
    batches = calibration.batches(1 if request.dynamic_batch else request.batch)
    ranges = observe(model, batches, input_name)
    search = Search(model, ranges, judge, variant, request.budget(judge.metric.name), tell, placement)
    record = search.run(given, request.tune)
    plan = plan_of(variant, judge.task, known, search.placements[search.chosen]) if search.chosen else None
    return Quantisation(search, record, plan)


def make_judge(
    request: "ExportRequest", task: str, calibration: "CalibrationSet", scenes: "tuple[Path, str] | None"
) -> Judge:
    """The judge that `request` asks for; `scenes` are the bundled weights' own labelled data, and what it is."""
    if request.data is not None and request.metric != "agreement":
        if task == "detect" and request.metric in ("auto", "map"):
            assert request.postprocess is not None
            images = request.images or Path(request.data).parent
            return box_judge(
                request.data,
                images,
                request.labels,
                request.imgsz,
                request.resize,
                request.postprocess,
                pixel_max=request.pixel_max,
            )
        if task == "classify" and request.metric in ("auto", "top1"):
            return top1_judge(request.data, request.labels, request.imgsz, request.resize, pixel_max=request.pixel_max)
        raise ExportError(f"the metric {request.metric} does not judge {task}: take auto or agreement")
    if scenes is not None and request.metric in ("auto", "map"):
        assert request.postprocess is not None
        annotations, words = scenes
        folder = annotations.parent / "images"
        return box_judge(
            annotations, folder, request.labels, request.imgsz, request.resize, request.postprocess, data=words
        )
    if request.metric not in ("auto", "agreement"):
        raise ExportError(f"the metric {request.metric} does not judge {task}: take auto or agreement")
    inputs = calibration.inputs[:AGREEMENT_PICTURES]
    return AgreementJudge(inputs, task, request.postprocess, f"{len(inputs)} calibration pictures, unlabelled")
