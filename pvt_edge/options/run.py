"""How a bundle is run: loaded, called, judged on labelled pictures, and compared with a reference."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

from pvt_edge.options.flag import Flag, parse_imgsz

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


class _JudgedOptions(TypedDict, total=False):
    """The first of `ValOptions`, as `--help` lists them: what is run, and above which scores."""

    runtime: Annotated[str, Flag("auto, all, or a runtime such as openvino.", default="auto")]
    precision: Annotated[str, Flag("auto, all, fp32, bf16, fp16, approx or int8.", default="auto")]
    device: Device
    threads: Threads
    conf: Annotated[float | None, Flag("Lowest score. Default: 0.01, as AP sweeps it.", min=0, max=1)]
    iou: Overlap
    max_det: MaxDet


class ValOptions(_JudgedOptions, SliceOptions, total=False):
    """Keywords of `pvt_edge.evaluation.evaluate`; see there."""

    limit: Annotated[int | None, Flag("Only the first so many pictures.", min=1)]
    pixel_max: PixelMaxOption
    skip_missing: Annotated[bool, Flag("Leave out pictures that are not there; says which.")]
    save_detections: Annotated[
        Path | None,
        Flag("Write the detections in COCO's results format; of several artifacts a file each.", metavar="FILE"),
    ]
    reduce_zero_label: Annotated[bool, Flag("0 in index masks is no label, as of ADE20K.")]
    plots: Annotated[
        Path | None,
        Flag("Write pictures of the confusion matrix, precision over recall and F1 over the threshold.", metavar="DIR"),
    ]


class SideOptions(TypedDict, total=False):
    """Keywords of `verify` that say what is compared; see there."""

    artifacts: Annotated[
        Sequence[str],
        Flag(
            "Such as openvino:int8, or openvino; may be repeated. Default: all.",
            name="artifact",
            metavar="RUNTIME:PRECISION",
            kind=list[str],
        ),
    ]
    reference: Annotated[
        str | None, Flag("What is right. Default: the first fp32 that runs here.", metavar="RUNTIME:PRECISION")
    ]
    against: Annotated[Path | None, Flag("Take the reference from another bundle of the same model.", metavar="BUNDLE")]


class Limits(TypedDict, total=False):
    """Limits in place of the defaults: `min_` of shares 0..1, `max_` of differences; None is the default."""

    min_f1: Annotated[float | None, Flag("Matched-box F1, detectors.", min=0, max=1)]
    max_box_px: Annotated[float | None, Flag("Mean box drift, pixels of the input.", min=0)]
    max_score_drift: Annotated[float | None, Flag("Mean drift of scores.", min=0)]
    min_top1: Annotated[float | None, Flag("Top-1 agreement, classifiers.", min=0, max=1)]
    min_cosine: Annotated[float | None, Flag("Mean cosine of logits or features.", min=0, max=1)]
    max_feature_error: Annotated[float | None, Flag("Mean relative error of features.", min=0)]
    min_pixels: Annotated[float | None, Flag("Share of equal pixels, segmenters.", min=0, max=1)]
    min_inside: Annotated[float | None, Flag("The same inside regions.", min=0, max=1)]
    min_boundary: Annotated[float | None, Flag("The same within 2 pixels of borders.", min=0, max=1)]
    min_iou: Annotated[float | None, Flag("Mean IoU of the classes, segmenters.", min=0, max=1)]


class RunOptions(TypedDict, total=False):
    """Keywords of `verify` that say how both sides are run; see there."""

    pixel_max: PixelMaxOption
    device: Device
    threads: Threads
