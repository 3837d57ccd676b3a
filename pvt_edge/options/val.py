"""How a bundle is judged on labelled pictures."""

from pathlib import Path
from typing import Annotated, TypedDict

from pvt_edge.options.flag import Flag
from pvt_edge.options.predict import Device, MaxDet, Overlap, PixelMaxOption, SliceOptions, Threads


class _RunOptions(TypedDict, total=False):
    runtime: Annotated[str, Flag("auto, all, or a runtime such as openvino.", default="auto")]
    precision: Annotated[str, Flag("auto, all, fp32, bf16, fp16, approx or int8.", default="auto")]
    device: Device
    threads: Threads
    conf: Annotated[float | None, Flag("Lowest score. Default: 0.01, as AP sweeps it.", min=0, max=1)]
    iou: Overlap
    max_det: MaxDet


class ValOptions(_RunOptions, SliceOptions, total=False):
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
