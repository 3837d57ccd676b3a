"""model.json: what a bundle says of itself. Pydantic models, versioned, unknown keys refused."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pvt_edge.moves import Moves
from pvt_edge.runtimes.runtime import ModelSpec, TensorSpec
from pvt_edge.runtimes.table import RUNTIMES

SCHEMA_VERSION: Literal[2] = 2  # 1 named the outputs and did not say what they are
MOVED = ("fp16", "approx", "int8")  # precisions of files that may make moves

Precision = Literal["fp32", "bf16", "fp16", "approx", "int8"]
ResizeMode = Literal["letterbox", "stretch", "crop"]
Activation = Literal["softmax", "sigmoid"]
ChannelOrder = Literal["RGB", "BGR"]
# linear and cubic are OpenCV's, which do not average when they shrink; the others are Pillow's filters, which do
Interpolation = Literal["linear", "cubic", "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Triple = tuple[float, float, float]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(_Record):
    """The graph's one input: uint8 pixels as a camera gives them; colour and normalisation are in the graph."""

    name: str = "images"
    dtype: Literal["uint8"] = "uint8"
    layout: Literal["NHWC"] = "NHWC"
    color: Literal["BGR"] = "BGR"
    batch: int = Field(default=1, ge=1)
    dynamic_batch: bool = False
    height: int = Field(ge=32)
    width: int = Field(ge=32)
    pixel_max: float | Literal["auto"] | None = None  # what is white in pictures of 16 bits; None: 65535


class OutputSpec(_Record):
    """One output of the graph; a size of -1 is that of a dynamic batch. Of schema 1 only the name is known."""

    name: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


class ResizeSpec(_Record):
    """How a picture becomes the input.

    letterbox: keep the aspect, fill right and bottom with `fill_bgr`; stretch: both sides freely, to the input's
    divided by `crop_fraction`; crop: scale until the shorter side is the input's divided by `crop_fraction`. Of both
    the centre is cut out, its corner rounded as `corner` says.
    """

    mode: ResizeMode
    interpolation: Interpolation = "linear"
    fill_bgr: tuple[int, int, int] = (104, 116, 124)  # the mean colour: what zero means to the network
    crop_fraction: float = Field(default=1.0, gt=0, le=1)
    corner: Literal["round", "floor"] = "round"  # timm's (as torchvision's) centre, and Hugging Face's


class NormaliseSpec(_Record):
    """What the graph does with pixels: (value - mean) / std, values 0 to 255, channels in the model's order.

    The default is ImageNet's, which every published PVT-v2 file was trained with.
    """

    channel_order: ChannelOrder = "RGB"
    mean: Triple = (123.675, 116.28, 103.53)
    std: Triple = (58.395, 57.12, 57.375)

    @property
    def mean_bgr(self) -> Triple:
        """The mean in the order of the input's channels."""
        return self.mean if self.channel_order == "BGR" else self.mean[::-1]

    @property
    def fill_bgr(self) -> tuple[int, int, int]:
        """The pixel that is nearest to zero after normalisation."""
        blue, green, red = (min(max(round(value), 0), 255) for value in self.mean_bgr)
        return blue, green, red


class PostprocessSpec(_Record):
    """Default thresholds of a detector, each call may override them; `threshold` is that of a segmenter of one class,
    whose pixels are those with a sigmoid above it, and lies in the graph."""

    conf: float = Field(default=0.25, ge=0, le=1)
    iou: float = Field(default=0.5, ge=0, le=1)
    max_det: int = Field(default=100, ge=1)
    threshold: float = Field(default=0.3, ge=0, le=1)  # mmseg's


class FileRecord(_Record):
    """A file of the bundle by its path relative to the bundle, with hash and size."""

    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Artifact(FileRecord):
    """A model file for one runtime and precision; `companions` lie beside it (an IR's weights).

    With `approximated` it makes the bundle's `moves`, so that it answers otherwise than the trained model beyond
    rounding.
    """

    runtime: str
    precision: Precision
    companions: tuple[FileRecord, ...] = ()
    passport: dict[str, str] | None = None
    approximated: bool = False

    @field_validator("runtime")
    @classmethod
    def _is_known(cls, runtime: str) -> str:
        known = [name for name, entry in RUNTIMES.items() if entry.format is not None]
        if runtime not in known:
            raise ValueError(f"a runtime with files of its own is {', '.join(known)}")
        return runtime


class CalibrationRecord(_Record):
    """The pictures INT8 ranges were taken from."""

    source: str
    seed: int
    images: tuple[FileRecord, ...] | None = None  # None for generated scenes, which seed and count determine
    count: int
    skipped: tuple[str, ...] = ()  # what could not be read, and why
    duplicates: int = Field(default=0, ge=0)  # near-duplicates dropped
    left_out: tuple[str, ...] = ()  # what was read but shows nothing, and why: "black.png: one colour"


class AccuracyRecord(_Record):
    """What was measured at export, on which data, artifact by artifact ("openvino-int8": {"AP": 0.61})."""

    data: str
    metrics: dict[str, dict[str, float]]


class TensorRtSpec(_Record):
    """What engines are built of, here or on the device: strongly typed graphs, types and quantisers in them."""

    graphs: dict[Precision, str]  # precision -> file of the bundle
    precision_plan: dict[str, Literal["int8", "float"]] | None = None  # of the int8 graph, by block name
    float32: tuple[str, ...] = ()  # tensors that float16 could not hold, by the overflow audit


class Provenance(_Record):
    """Where the artifacts come from."""

    pvt_edge: str
    created: str  # ISO 8601, UTC
    command: str | None = None
    weights: str
    weights_sha256: str | None = None
    dialect: str | None = None
    taken: tuple[str, ...] = ()  # preprocessing and labels that were not the default, and from where
    versions: dict[str, str]
    machine: str


class Manifest(_Record):
    """The whole of model.json."""

    schema_version: Literal[2] = SCHEMA_VERSION
    variant: str
    task: str
    labels: tuple[str, ...]
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    resize: ResizeSpec
    normalise: NormaliseSpec = NormaliseSpec()  # is inside the graph; recorded for other routes to the same answers
    postprocess: PostprocessSpec | None = None  # detectors, and segmenters of one class
    activation: Activation = "softmax"  # what makes shares of a classifier's logits
    artifacts: tuple[Artifact, ...]
    auto_precision: dict[str, Precision] = {}  # runtime -> the precision "auto" takes there
    auto_excluded: dict[str, str] = {}  # what "auto" does not take, and why: {"openvino-bf16": "loses 0.0312 ..."}
    not_written: dict[str, str] = {}  # what was asked for and is not there, and why: {"openvino-int8": "..."}
    tensorrt: TensorRtSpec | None = None
    moves: Moves = Moves()  # what `approximated` artifacts leave out or compute at a smaller size; fp32 is exact
    calibration: CalibrationRecord | None = None
    precision_plan: dict[str, Literal["int8", "float"]] | None = None  # what of int8 runs in which, by block name
    accuracy: AccuracyRecord | None = None
    agreement: AccuracyRecord | None = None  # with the trained model, at export; what `verify` measures
    provenance: Provenance

    @property
    def approximated(self) -> tuple[Precision, ...]:
        """The precisions of the files that make `moves`, each once."""
        return tuple(dict.fromkeys(one.precision for one in self.artifacts if one.approximated))

    @model_validator(mode="before")
    @classmethod
    def _from_schema_1(cls, given: Any) -> Any:
        older = isinstance(given, dict) and type(given.get("schema_version")) is int and given["schema_version"] == 1
        return {**given, "schema_version": SCHEMA_VERSION} if older else given

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs' names, in the graph's order."""
        return tuple(output.name for output in self.outputs)

    def spec(self, precision: str) -> ModelSpec | None:
        """What a file of that precision takes and gives; None where the manifest, of schema 1, does not say."""
        spec = self.input
        shape = (-1 if spec.dynamic_batch else spec.batch, spec.height, spec.width, 3)
        outputs = []
        for output in self.outputs:
            if output.dtype is None or output.shape is None:
                return None
            outputs.append(TensorSpec(output.name, output.dtype, output.shape))
        return ModelSpec(precision, (TensorSpec(spec.name, spec.dtype, shape),), tuple(outputs))

    def __repr__(self) -> str:
        size = f"{self.input.width}x{self.input.height} pixels"
        return (
            f"Manifest({self.variant} {self.task}, {size}, {len(self.labels)} labels, {len(self.artifacts)} artifacts)"
        )

    __str__ = __repr__
