"""What a precision search measured, as data: written to report.json, drawn by the report."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pvt_edge.bundle.schema import Precision


class _Record(BaseModel):
    # a class that no picture shows has an AP of NaN, which plain JSON cannot hold
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Latency(_Record):
    """Milliseconds of one inference; percentiles of all that were timed, none removed."""

    p50: float
    p90: float
    p99: float
    inferences: int


class Metric(_Record):
    """What accuracy is judged by: `value` is 1.0 (or the reference's own) for an artifact that lost nothing."""

    name: str  # "agreement", or the task's own: "top1", "map"
    words: str  # "matched-box F1 with fp32", "AP", "top-1"
    data: str  # "64 calibration pictures", "48 generated scenes, seed 3"


class BlockSensitivity(_Record):
    """One block alone in INT8, everything else in FP32."""

    block: str
    drop: float  # of the metric, against fp32; below zero where int8 happened to be better
    details: dict[str, float] = {}  # what the metric is made of: {"cosine": 0.9998, "top1_agreement": 1.0}
    ms_saved: float | None = None  # by the runtime's own counters; None where it was not measured


class Candidate(_Record):
    """A precision, or a placement of INT8, that was measured."""

    name: str  # "fp32", "bf16", "approx", "int8 all", "int8 mlp"
    words: str  # what it is, for people
    int8_blocks: int
    float_blocks: int
    value: float  # of the metric
    drop: float  # against fp32
    details: dict[str, float] = {}
    latency: Latency | None = None  # None where the budget had ruled it out already
    within_budget: bool
    chosen: bool = False


class LayerGroup(_Record):
    """Time of one kind of layer, summed, in two models, by the runtime's counters: in an export, the float model
    run as it runs fastest, and the INT8 placement chosen."""

    group: str
    before_ms: float
    after_ms: float
    layers: int  # executed, in the second


class GraphTrial(_Record):
    """An ONNX graph, judged on this machine's CPU."""

    name: str  # "fp16", "int8 tensorrt", "int8 onnx"
    words: str
    int8_blocks: int
    float_blocks: int
    value: float  # of the metric
    drop: float  # against fp32
    details: dict[str, float] = {}
    within_budget: bool


class MoveTrial(_Record):
    """A set of moves that was tried: in float32, without any rounding."""

    words: str
    pictures: int  # fewer than all where the first few had ruled it out
    value: float  # of the metric
    drop: float  # against the exact model
    worst_class: str | None = None  # that lost most; None where the metric knows no classes
    worst_class_drop: float | None = None
    within_budget: bool


class MoveSensitivity(_Record):
    """One move alone, in float, against the exact graph on the same machine."""

    words: str
    drop: float  # of the metric
    details: dict[str, float] = {}
    ms_saved: float  # of one inference, medians in turns; below zero where it costs
    exact_ms: float


class ApproximationRecord(_Record):
    """How the moves of an export were chosen."""

    words: str  # what they are, "none" where none held the budget
    given: bool = False  # by a plan, and not tried
    metric: Metric | None = None  # and the pictures that chose
    max_drop: float | None = None
    max_class_drop: float | None = None
    trials: tuple[MoveTrial, ...] = ()
    unjudged: tuple[str, ...] = ()  # classes that no picture shows
    alone: tuple[MoveSensitivity, ...] = ()  # where `--tune full` measured them, least loss per millisecond first


class SearchRecord(_Record):
    """One search, whole."""

    variant: str
    task: str
    runtime: str
    machine: str
    threads: int
    metric: Metric
    max_drop: float | None  # None: stated, not gated
    # where the INT8 placement came from; "none" where only floats were judged
    placement: Literal["searched", "given", "recorded", "none"] = "searched"
    tuned: bool  # whether blocks were tried alone and candidates timed
    candidates: tuple[Candidate, ...]
    sensitivities: tuple[BlockSensitivity, ...]
    sensitivity_pictures: int | None = None  # how many of the metric's pictures blocks were measured on; None: all
    layer_groups: tuple[LayerGroup, ...] = ()
    onnx: GraphTrial | None = None  # the placement kept, as `model.int8.onnx` runs it
    onnx_approx: GraphTrial | None = None  # `model.approx.onnx`
    onnx_latency: dict[Precision, Latency] = {}  # of ONNX Runtime's files in turns, where there are several
    verdict: str  # "int8 14.2 ms, bf16 17.9 ms, fp32 31.0 ms (p50, 2 threads): int8 kept, AP -0.003"
    kept: bool  # whether INT8 was written
    interrupted: bool = False
    seconds: float


class ActivationRange(_Record):
    """The extremes of one activation over pictures, and whether float16 is not trusted with it."""

    tensor: str
    block: str  # that computed it, or the last one before it
    kind: str  # "norm" and "softmax": their inputs; "residual" sums; "reduction": a spatial reduction's output; "other"
    lowest: float
    highest: float
    pinned: bool  # to float32

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(-self.lowest, self.highest)


class OverflowAudit(_Record):
    """The ranges of a model's activations against the largest number of float16."""

    pictures: str  # "64 calibration pictures of images/"
    limit: float
    headroom: float  # what comes within this factor of the limit is pinned
    ranges: tuple[ActivationRange, ...]

    @property
    def pinned(self) -> tuple[str, ...]:
        """The tensors that stay float32."""
        return tuple(row.tensor for row in self.ranges if row.pinned)


class TensorRtRecord(_Record):
    """What an export found out for TensorRT, whole: written to report.json."""

    metric: Metric
    max_drop: float | None
    audit: OverflowAudit
    trials: tuple[GraphTrial, ...]
    sensitivities: tuple[BlockSensitivity, ...] = ()  # where the recorded placement did not hold the budget
    notes: tuple[str, ...] = ()  # for people: what was built, what to run on the device
