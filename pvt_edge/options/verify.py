"""What is compared with what, and how far it may differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypedDict

from pvt_edge.options.flag import Flag
from pvt_edge.options.predict import Device, PixelMaxOption, Threads


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
