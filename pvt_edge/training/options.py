"""What a training run may be told, and the recipe that comes of it."""

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from pvt_edge.errors import ArgumentError, UnknownNameError
from pvt_edge.training.view import SYMMETRIES

AUTO = "auto"
MOST_EPOCHS = 1_000_000  # where time alone ends a run
# what a run that goes on may be told anew; all else would make another run of it
MAY_CHANGE = ("epochs", "time", "patience", "workers", "device", "cache", "tensorboard")
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")
_STAGES = re.compile(r"stages\.([0-3])(?:-([0-3]))?")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `pvt_edge.train`; None leaves it to the recipe."""

    task: str | None = None
    variant: str | None = None
    weights: str | None = None
    head: str | None = None
    epochs: int | None = None
    time: str | float | None = None
    patience: int | None = None
    batch: int | None = None
    imgsz: tuple[int, int] | None = None
    lr: float | None = None
    layer_decay: float | None = None
    weight_decay: float | None = None
    freeze: str | None = None
    drop_path: float | None = None
    drop: float | None = None
    ema: bool | None = None
    amp: str | None = None
    device: str | None = None
    workers: int | None = None
    seed: int | None = None
    symmetry: str | None = None
    extra: str | None = None
    extra_share: float | None = None
    val_share: float | None = None
    cache: bool | None = None
    tensorboard: bool | None = None
    distil: str | None = None
    plan: str | None = None

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
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ArgumentError(f"train(): {name} must be from {low:g} to {high:g}, not {value!r}")
        for name, known in (("amp", (AUTO, "off", "bf16", "fp16")), ("symmetry", SYMMETRIES)):
            if getattr(self, name) not in (None, *known):
                raise UnknownNameError(name, getattr(self, name), known)
        if self.freeze is not None:
            frozen_stages(self.freeze)
        if self.time is not None:
            seconds_of(self.time)

    def said(self) -> dict[str, Any]:
        """What is not None, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def seconds_of(time: str | float) -> float:
    """The seconds of "30m", "1.5h", "90s" or a number of seconds. Raises `ArgumentError`."""
    found = _TIME.fullmatch(str(time).strip())
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not seconds:
        raise ArgumentError(f"train(): time {time!r} is none: write 30m, 1.5h or 90s")
    return seconds


def frozen_stages(freeze: str) -> tuple[int, ...]:
    """The stages of the backbone that are left as they are: of "none", "head-only", "stages.0" or "stages.0-2"."""
    if freeze in ("none", "head-only"):
        return (0, 1, 2, 3) if freeze == "head-only" else ()
    found = _STAGES.fullmatch(freeze)
    if not found or (found[2] and found[2] < found[1]):
        raise ArgumentError(f"train(): freeze {freeze!r} is none: write head-only, none or stages.0-2, of 0 to 3")
    return tuple(range(int(found[1]), int(found[2] or found[1]) + 1))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of a run, none of them left open.

    Attributes:
        epochs: At most; with `time`, no more than fit into it.
        time: Seconds, or None.
        fresh: Whether the backbone starts from random weights.
    """

    epochs: int
    time: float | None
    patience: int | None
    batch: int
    imgsz: tuple[int, int]
    lr: float
    layer_decay: float
    weight_decay: float
    warmup: float
    clip_norm: float
    freeze: str
    drop_path: float
    drop: float
    ema: bool
    amp: str
    device: str
    workers: int
    seed: int
    symmetry: str
    extra_share: float
    val_every: int
    fresh: bool

    def lines(self) -> list[str]:
        """The recipe for people."""
        until = [f"{self.time / 60:g} minutes"] if self.time else []
        until += [f"{self.epochs} epochs"] if self.epochs < MOST_EPOCHS else []
        stop = f", stops {self.patience} validations after the best" if self.patience else ""
        often = "for a tenth of the time" if self.time else f"every {self.val_every} epochs"
        return [
            f"{' or '.join(until)} of batches of {self.batch} at {self.imgsz[1]}x{self.imgsz[0]} pixels{stop}; "
            f"judged {often}, seed {self.seed}",
            f"AdamW, rate {self.lr:.2g} after {self.warmup:.0%} warm-up, then a cosine; {self.layer_decay:g} of it a "
            f"stage down; weight decay {self.weight_decay:g}, gradients clipped at {self.clip_norm:g}",
            f"frozen: {self.freeze}; drop path {self.drop_path:g}, drop {self.drop:g}; "
            f"{'averaged weights' if self.ema else 'no average of weights'}; symmetry {self.symmetry}",
            f"{self.device}, {self.amp}, {self.workers} workers",
        ]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def read_recipe(content: dict[str, Any]) -> Recipe:
    """The recipe that `to_json` gave."""
    known: dict[str, Any] = {field.name: content[field.name] for field in fields(Recipe) if field.name in content}
    known["imgsz"] = tuple(known["imgsz"])
    return Recipe(**known)


def dump(content: object) -> str:
    """JSON as a run's folder has it."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
