"""What a benchmark measured, as data: written to benchmark.json, read back by `--against`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from pvt_edge.errors import storable

SCHEMA: Literal["pvt-edge-benchmark"] = "pvt-edge-benchmark"
SCHEMA_VERSION: Literal[1] = 1
STUDY_SCHEMA: Literal["pvt-edge-study"] = "pvt-edge-study"

Hint = Literal["latency", "throughput"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        """Every text as JSON can hold it."""
        if isinstance(value, tuple):
            return tuple(map(cls._storable, value))
        return storable(value) if isinstance(value, str) else value


class Times(_Record):
    """Milliseconds of all calls that were timed, none removed, and images per second of busy time."""

    calls: int
    p50: float
    mean: float
    least: float
    most: float
    percentiles: dict[str, float]  # "50", "90", "99.9": those asked for
    images_per_second: float


class EndToEnd(_Record):
    """From JPEG bytes to results, and the medians of the four stages, ms per call."""

    times: Times
    stages: dict[str, float]  # decode, preprocess, inference, postprocess


class ColdStart(_Record):
    """A fresh process: from nothing loaded to the first result, in ms; files lie in the system's cache."""

    import_ms: float  # of the runtime's packages
    load_ms: float
    first_ms: float
    idle_rss_mib: float  # before anything was loaded
    peak_rss_mib: float  # after a few inferences
    vram_mib: float | None = None  # what the GPU's free memory fell by

    @property
    def total_ms(self) -> float:
        """Import, load and first result."""
        return self.import_ms + self.load_ms + self.first_ms


class Floor(_Record):
    """The least time that this machine's measured peaks allow one call, and what sets it."""

    floor_ms: float
    bound: Literal["arithmetic", "memory"]
    distance: float  # median of inference over floor


class Row(_Record):
    """One runtime at one precision and batch: measured, or why not."""

    name: str  # "openvino int8", "stock onnxruntime fp32", "openvino int8 batch 4", "deit-s openvino int8"
    route: Literal["pvt-edge", "stock", "torch"]
    runtime: str
    precision: str
    batch: int
    status: Literal["measured", "failed", "absent"]
    reason: str | None = None  # of what failed, or is not here
    device: str | None = None
    threads: int | None = None  # of each caller; None: the runtime's own choice
    callers: int = 1  # at once: more than one for throughput
    model_bytes: int | None = None
    accuracy: dict[str, float] | None = None  # as model.json has it
    cold_start: ColdStart | None = None
    inference: Times | None = None
    end_to_end: EndToEnd | None = None
    floor: Floor | None = None
    layers_ms: dict[str, float] | None = None  # by group of layers, by the runtime's counters
    model: str | None = None  # of a comparison model; None: the bundle's


class Model(_Record):
    """What was run."""

    variant: str
    task: str
    height: int
    width: int
    weights: str
    bundle: str | None  # its folder's name; None for a model exported for the benchmark
    parameters: int | None = None
    macs: int | None = None  # of one image, the products of attention included
    accuracy_data: str | None = None


class ModelFacts(_Record):
    """A comparison model, as it was run: random weights, the size and the classes of the bundle."""

    name: str
    parameters: int
    macs: int | None  # of one image, the products of attention included; None where nothing could count them
    top1: float  # percent on ImageNet at 224, as published by the source
    source: str
    note: str = ""


class Settings(_Record):
    """How it was run."""

    hint: Hint
    duration_s: float
    warmup_s: float
    slice_s: float
    rounds: int
    seed: int
    threads: int | None
    streams: int | None
    device: str
    pictures: str


class Machine(_Record):
    """Where it was run."""

    cpu: str
    cores: int  # that this process may use
    memory_gib: float
    system: str
    gpu: str | None
    features: tuple[str, ...]  # of the CPU, those that speed inference up
    versions: dict[str, str]


class Noise(_Record):
    """What else went on meanwhile; None where the system does not tell."""

    reference_p50_ms: float  # of the same small work, done again and again between the turns
    reference_spread: float  # its p90 over its p10
    load_before: float | None
    load_after: float | None
    others_cpu: float | None  # cores taken by other processes on the CPUs that this one may use, on average
    steal: float | None  # share of time that the hypervisor gave to others
    cgroup_throttled_s: float | None
    thermal_throttles: int | None
    mhz: tuple[float, float] | None  # lowest and highest seen
    busy: tuple[str, ...]  # why the figures are not to be trusted; empty on a quiet machine


class Timer(_Record):
    """What the stopwatch itself costs."""

    in_sample_us: float  # that a sample holds of it
    between_samples_us: float
    share_of_2_ms: float


class Peaks(_Record):
    """What this machine did at best, with as many threads as the rows had."""

    threads: int
    tera_operations: dict[str, float]  # by precision, 2 a multiply-add
    copy_gb_per_second: float


class Benchmark(_Record):
    """One run, whole."""

    schema_name: Literal["pvt-edge-benchmark"] = SCHEMA
    schema_version: Literal[1] = SCHEMA_VERSION
    pvt_edge: str
    created: str  # ISO 8601, UTC
    command: str
    model: Model
    settings: Settings
    machine: Machine
    noise: Noise
    timer: Timer
    peaks: Peaks | None
    rows: tuple[Row, ...]
    fastest: str | None = None  # the row of the least median an image; None where the machine was too busy to say
    notes: tuple[str, ...] = ()
    compared: tuple[ModelFacts, ...] = ()

    @property
    def measured(self) -> tuple[Row, ...]:
        """The rows that have figures."""
        return tuple(row for row in self.rows if row.status == "measured")


class StudyEntry(_Record):
    """One variant, or comparison model, at one size: its rows, or why there are none."""

    model: Model | None
    variant: str
    height: int
    width: int
    rows: tuple[Row, ...] = ()
    busy: tuple[str, ...] = ()
    reason: str | None = None
    seconds: float  # export included; 0 of a comparison model, which is measured beside a variant
    compared: ModelFacts | None = None


class Study(_Record):
    """Cost against size and variant, whole."""

    schema_name: Literal["pvt-edge-study"] = STUDY_SCHEMA
    schema_version: Literal[1] = 1
    pvt_edge: str
    created: str
    command: str
    task: str
    weights: str
    settings: Settings | None
    machine: Machine
    entries: tuple[StudyEntry, ...]
    seconds: float
