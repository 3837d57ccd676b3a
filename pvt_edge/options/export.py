"""What an export is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pvt_edge.options.flag import Flag, parse_imgsz, parse_list

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
    from pvt_edge.options.build import BuildOptions
    from pvt_edge.options.preprocessing import Preprocessing

Place: TypeAlias = str | PathLike[str]
CalibrationSource: TypeAlias = str | Path | Sequence[str | Path]
Progress: TypeAlias = Callable[[int, int, str], None]  # steps done, steps in all, what is done now
Tune: TypeAlias = Literal["full", "quick", "off"]


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The keywords of `export_model`, and what `pvt-edge export` has of them.

    Attributes:
        imgsz: (height, width), multiples of 32; by default the weights' own, else the task's.
        formats: Among onnx, openvino, tensorrt, tensorrt-rtx.
        precisions: Among fp32, fp16 (of ONNX and TensorRT), int8.
        calib: Pictures for INT8: a folder, pattern, list or video.
        calib_n: How many of them are drawn.
        seed: By which they are.
        allow_small: Take fewer than 16.
        max_drop: What INT8, FP16 and approximations together may lose of `metric`: by default 0.005 of map, top1 and
            miou, 0.02 of agreement, and without limit for weights that were not loaded.
        metric: auto, agreement (with FP32), top1, map or miou.
        data: Labelled pictures: a COCO file, or a folder of class folders or of pictures and index masks.
        images: The folder of a COCO file's pictures.
        plan: A precision plan in place of a search: a JSON file, or a bundle with one; its moves too.
        tune: "quick" to time the recorded placement of INT8 against floats, "full" to search and time placements,
            "off" to take the recorded one untimed (True is full, False off). By default quick.
        approximate: "auto" to let files of int8 and fp16 leave out what costs most and helps least, inside the same
            budget, and to write an approximated float file ("approx") beside each of fp32, which stays exact; "none";
            or a plan of such moves, a JSON file or a bundle that makes some. By default auto for int8 without fp16,
            unless `tune` is off: who asks for INT8 has already given up the exact answer for speed, and set a budget
            for it. Weights that were not loaded are never approximated by "auto".
        require_int8: An INT8 asked for that is not worth writing is an `ExportError`.
        logits: Let a segmenter's graph give the logits (B, K, H/4, W/4) beside the class map.
        labels: One name a class, in order.
        batch: The static batch, or any with `dynamic_batch`.
        dynamic_batch: Leave the batch free.
        engine: How TensorRT is to build.
        pixel_max: The value that is white in pictures of 16 bits (4095, or "auto"), here and when the bundle runs.
        resize: A resize mode, or the whole resize in place of `preprocessing`'s.
        preprocessing: What is to stand over what lies beside the weights and the default; mean and std of values 0 to
            255 (or 0 to 1, where none is above 1).
        postprocess: Thresholds that the bundle asks of its host.
        weights_file: For the provenance.
        dialect: For the provenance.
        command: For the provenance.
        progress: Is told each step: (steps done, steps in all, what is done now).
    """

    imgsz: Annotated[
        int | tuple[int, int] | None, Flag("Input size: 640, or height,width.", kind=str, read=parse_imgsz)
    ] = None
    formats: Annotated[
        Sequence[str],
        Flag(
            "Among onnx, openvino, tensorrt, tensorrt-rtx.",
            "--format",
            kind=str,
            default="onnx,openvino",
            read=parse_list,
        ),
    ] = ("onnx", "openvino")
    precisions: Sequence[str] = ("fp32",)
    calib: Annotated[
        CalibrationSource | None,
        Flag(
            "Pictures for INT8 ranges: a folder, pattern or video. Default: of weights in the folder of "
            "pvt-edge train, those learnt from.",
            metavar="SOURCE",
            kind=str,
        ),
    ] = None
    calib_n: Annotated[int, Flag("How many of them to use.", min=1)] = 256
    seed: Annotated[int, Flag("Which of them: the seed of the draw.")] = 0
    allow_small: Annotated[bool, Flag("Take fewer than 16 calibration pictures.")] = False
    max_drop: Annotated[
        float | None,
        Flag("What INT8 may lose of the metric. Default: 0.005 of map, top1 and miou, 0.02 of agreement."),
    ] = None
    metric: Annotated[
        str, Flag("What INT8 is judged by: auto, agreement (with FP32, no labels), top1, map or miou.")
    ] = "auto"
    data: Annotated[
        Place | None,
        Flag("Labelled pictures to judge by: a COCO file, or a folder with class folders or index masks.", kind=Path),
    ] = None
    images: Annotated[
        Place | None, Flag("The pictures of the COCO file. Default: beside it.", metavar="DIR", kind=Path)
    ] = None
    plan: Annotated[
        Place | None, Flag("A precision plan to take instead of searching: JSON, or a bundle with one.", kind=Path)
    ] = None
    tune: Annotated[
        Tune | bool | None,
        Flag(
            "Placement of INT8. quick: the recorded one, kept only where it is faster; the default. full: searched and "
            "timed. off: the recorded one, untimed.",
            metavar="full|quick|off",
            kind=str,
        ),
    ] = None
    approximate: Annotated[
        Place | None,
        Flag(
            "Leave out what costs most and helps least, inside the budget, in INT8, FP16 and approx files; fp32 stays "
            "exact. PLAN is JSON or a bundle that does. Default: auto for --int8 without --fp16.",
            metavar="auto|none|PLAN",
            kind=str,
        ),
    ] = None
    require_int8: Annotated[bool, Flag("--int8, and exit 1 with nothing written where INT8 is not worth writing.")] = (
        False
    )
    logits: Annotated[bool, Flag("Of a segmenter: give its logits at a quarter of the size too.")] = False
    labels: Sequence[str] | None = None
    batch: int = 1
    dynamic_batch: Annotated[bool, Flag("Any batch size instead.")] = False
    engine: "BuildOptions | None" = None
    pixel_max: Annotated[
        str | float | None,
        Flag(
            "What is white in pictures of 16 bits, here and when the bundle runs, such as 4095.",
            metavar="N|auto",
            kind=str,
        ),
    ] = None
    resize: "ResizeSpec | str | None" = None
    preprocessing: "Preprocessing | None" = None
    postprocess: "PostprocessSpec | None" = None
    weights_file: Path | None = None
    dialect: str | None = None
    command: str | None = None
    progress: Progress | None = None


DEFAULTS = ExportOptions()
