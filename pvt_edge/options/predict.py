"""How a bundle is run: what it is loaded with, and what a call may say beside its pictures."""

from typing import TYPE_CHECKING, Annotated, TypedDict

from pvt_edge.options.flag import Flag
from pvt_edge.options.texts import parse_imgsz

if TYPE_CHECKING:
    from pvt_edge.label_names import Classes


Device = Annotated[str, Flag("auto, cpu, cuda:0 ...", default="auto")]
Threads = Annotated[int | None, Flag("Threads. Default: the runtime's choice.", min=1)]
Overlap = Annotated[float | None, Flag("NMS overlap. Default: the bundle's.", min=0, max=1)]
MaxDet = Annotated[int | None, Flag("Most detections. Default: the bundle's.", min=1)]
PIXEL_MAX = Flag(
    "What is white in pictures of 16 bits, such as 4095. Default: the bundle's, else 65535.", metavar="N|auto", kind=str
)
PixelMaxOption = Annotated["str | float | None", PIXEL_MAX]


class ThresholdOptions(TypedDict, total=False):
    """What a call may set: `conf` and `iou` in 0..1, `max_det` from 1, `classes` by name or id."""

    conf: Annotated[float | None, Flag("Lowest score. Default: the bundle's.", min=0, max=1)]
    iou: Overlap
    max_det: MaxDet
    classes: Annotated[
        "Classes | None",
        Flag(
            "Only these: names or ids, comma-separated; may be repeated. A name goes before an id; quote names with "
            "commas.",
            metavar="NAME,ID...",
            kind=list[str],
        ),
    ]


class SliceOptions(TypedDict, total=False):
    """What a call may set: the tiles' size in pixels, one side or (height, width), how far they overlap, and whether
    the whole frame is run too."""

    slice: Annotated[
        int | tuple[int, int] | None,
        Flag(
            "Run large pictures in tiles of so many pixels, such as 480,640.",
            metavar="H,W",
            kind=str,
            read=lambda text: parse_imgsz(text, "--slice"),
        ),
    ]
    overlap: Annotated[float | None, Flag("How far tiles overlap. Default: 0.2.", min=0, max=0.9)]
    whole_frame: Annotated[bool, Flag("Run the whole picture beside its tiles, for what is larger than a tile.")]


class PredictOptions(ThresholdOptions, SliceOptions, total=False):
    """Keywords of a predictor's calls."""


class LoadOptions(TypedDict, total=False):
    """Keywords of `load`; see there."""

    runtime: Annotated[str, Flag("auto, openvino, onnxruntime, tensorrt, tensorrt-rtx or opencv.", default="auto")]
    precision: Annotated[str, Flag("auto, fp32, bf16, fp16, approx or int8.", default="auto")]
    device: Device
    threads: Threads
    rebuild: Annotated[bool, Flag("Build TensorRT engines again that were built for another machine.")]


class MachineOptions(TypedDict, total=False):
    """Those of `load` that all who run a bundle have."""

    device: Device
    threads: Threads
