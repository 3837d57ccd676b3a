"""What a training run may be told."""

import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pvt_edge.arguments import check_number, check_size
from pvt_edge.errors import ArgumentError, UnknownNameError
from pvt_edge.options.flag import Flag, parse_imgsz

DATA, RECIPE = "Data", "Recipe"  # headings of --help
AUTO = "auto"
SYMMETRIES = ("none", "mirror", "all")
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")
_STAGES = re.compile(r"stages\.([0-3])(?:-([0-3]))?")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `pvt_edge.train`; None leaves it to the recipe."""

    task: Annotated[str | None, Flag("classify, detect or segment.")] = None
    variant: Annotated[str | None, Flag("b0 to b5, b2-li, v1-tiny, v1-small, v1-medium or v1-large. Default: b0.")] = (
        None
    )
    weights: Annotated[
        str | None,
        Flag(
            "What to start from: imagenet (published, downloaded once), a checkpoint of any kind, a former run's "
            "best.safetensors, cells or cells-seg (bundled), or none (random). Default: imagenet.",
            metavar="FILE|NAME",
        ),
    ] = None
    val_share: Annotated[float | None, Flag("Held back of data without a val part. Default: 0.2.", panel=DATA)] = None
    extra: Annotated[
        str | None, Flag("More data of the same classes, to learn from alone; scenes:600.", panel=DATA)
    ] = None
    extra_share: Annotated[float | None, Flag("Of a batch, drawn from --extra. Default: 0.25.", panel=DATA)] = None
    cache: Annotated[
        bool | None, Flag("Keep pictures in memory. Default: if they fit.", "--cache/--no-cache", panel=DATA)
    ] = None
    workers: Annotated[int | None, Flag("Processes that prepare pictures. Default: by the machine.", panel=DATA)] = None
    head: Annotated[
        str | None,
        Flag(
            "A detector's: lite or retinanet; a segmenter's: lite, linear, fpn or upernet, with a width as in "
            "upernet:128. Default: lite.",
            panel=RECIPE,
        ),
    ] = None
    epochs: Annotated[int | None, Flag("Default: by task and size of the data.", panel=RECIPE)] = None
    time: Annotated[
        str | float | None, Flag("Be done within 30m, 1.5h or 90s, pictures included.", kind=str, panel=RECIPE)
    ] = None
    patience: Annotated[int | None, Flag("Stop after so many validations that are no better.", panel=RECIPE)] = None
    batch: Annotated[int | None, Flag("Pictures a step.", panel=RECIPE)] = None
    imgsz: Annotated[
        tuple[int, int] | None,
        Flag("Input size: 640, or height,width. Default: by the pictures.", kind=str, read=parse_imgsz, panel=RECIPE),
    ] = None
    lr: Annotated[float | None, Flag("AdamW's rate at its highest.", panel=RECIPE)] = None
    layer_decay: Annotated[
        float | None, Flag("Rate of a stage, of the next one. Default: 0.8, 1 from scratch.", panel=RECIPE)
    ] = None
    weight_decay: Annotated[float | None, Flag("Default: 0.05.", panel=RECIPE)] = None
    freeze: Annotated[str | None, Flag("none, head-only (trains neck and head), or stages.0-2.", panel=RECIPE)] = None
    drop_path: Annotated[float | None, Flag("Stochastic depth; 0.1.", panel=RECIPE)] = None
    drop: Annotated[float | None, Flag("Dropout before a classifier's head. Default: 0.", panel=RECIPE)] = None
    ema: Annotated[
        bool | None, Flag("Average the weights over steps. Default: yes.", "--ema/--no-ema", panel=RECIPE)
    ] = None
    symmetry: Annotated[
        str | None, Flag("How pictures are turned: mirror, all or none. Default: mirror.", panel=RECIPE)
    ] = None
    amp: Annotated[str | None, Flag("auto, off, bf16 or fp16: how matrices are multiplied.", panel=RECIPE)] = None
    device: Annotated[str | None, Flag("auto, cpu, cuda:0 ...", panel=RECIPE)] = None
    seed: Annotated[int | None, Flag("Default: 0.", panel=RECIPE)] = None
    distil: Annotated[
        str | None,
        Flag(
            "Heal instead: these weights, with --plan, learn their own exact answers on DATA, any pictures.",
            metavar="FILE|NAME",
        ),
    ] = None
    plan: Annotated[
        str | None,
        Flag(
            "With --distil: what is approximated; moves as --approximate of export takes them, or a precision "
            "plan or a bundle as --plan does, whose INT8 is simulated.",
            metavar="FILE|DIR",
        ),
    ] = None
    exact_share: Annotated[
        float | None,
        Flag(
            "With --distil: so many of the steps teach the model as it is, without moves; the weights then serve both. "
            "Default: 0.",
        ),
    ] = None
    tensorboard: Annotated[bool | None, Flag("Write its files too.", "--tensorboard")] = None

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch": 1, "patience": 1, "workers": 0, "seed": 0}
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < limit):
                raise ArgumentError(f"train(): {name} must be a whole number from {limit}, not {value!r}")
        for name, low, high in (
            ("lr", 0.0, 10.0),
            ("layer_decay", 0.0, 1.0),
            ("weight_decay", 0.0, 1.0),
            ("drop_path", 0.0, 0.9),
            ("drop", 0.0, 0.9),
            ("extra_share", 0.0, 0.9),
            ("val_share", 0.01, 0.9),
            ("exact_share", 0.0, 0.9),
        ):
            value = getattr(self, name)
            check_number("train()", optional=True, **{name: value})
            if value is not None and not low <= value <= high:
                raise ArgumentError(f"train(): {name} must be from {low:g} to {high:g}, not {value!r}")
        for name, known in (("amp", (AUTO, "off", "bf16", "fp16")), ("symmetry", SYMMETRIES)):
            if getattr(self, name) not in (None, *known):
                raise UnknownNameError(name, getattr(self, name), known)
        if self.imgsz is not None:
            object.__setattr__(self, "imgsz", check_size("train()", self.imgsz))
            check_sides(self.imgsz)
        if self.freeze is not None:
            frozen_stages(self.freeze)
        if self.time is not None:
            seconds_of(self.time)

    def explicit(self) -> dict[str, Any]:
        """What is not None, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def seconds_of(time: str | float) -> float:
    """The seconds of "30m", "1.5h", "90s" or a number of seconds. Raises `ArgumentError`."""
    found = _TIME.fullmatch(str(time).strip())
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not seconds:
        raise ArgumentError(f"train(): time {time!r} is none: write 30m, 1.5h or 90s")
    return seconds


def check_sides(imgsz: tuple[int, int]) -> None:
    """Raise `ArgumentError` for a (height, width) that the stages of a backbone cannot halve five times."""
    if any(side % 32 or side < 32 for side in imgsz):
        near = ",".join(str(max(32, 32 * round(side / 32))) for side in imgsz)
        raise ArgumentError(f"train(): imgsz {imgsz[0]},{imgsz[1]} is no multiple of 32: such as {near}")


def frozen_stages(freeze: str) -> tuple[int, ...]:
    """The stages of the backbone that are left as they are: of "none", "head-only", "stages.0" or "stages.0-2"."""
    if freeze in ("none", "head-only"):
        return (0, 1, 2, 3) if freeze == "head-only" else ()
    found = _STAGES.fullmatch(str(freeze))
    if not found or (found[2] and found[2] < found[1]):
        raise ArgumentError(f"train(): freeze {freeze!r} is none: write head-only, none or stages.0-2, of 0 to 3")
    return tuple(range(int(found[1]), int(found[2] or found[1]) + 1))
