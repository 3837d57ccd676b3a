"""The recipe of a run, with no number left open: what was asked for, else what suits task, data and machine."""

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from pvt_edge.errors import ArgumentError, RuntimeMissingError
from pvt_edge.options.train import AUTO, TrainOptions, check_sides, frozen_stages, seconds_of
from pvt_edge.reporting.wording import counted
from pvt_edge.training.task import TrainingTask

MOST_EPOCHS = 1_000_000  # where time alone ends a run
# what a run that goes on may be told anew; all else would make another run of it
MAY_CHANGE = ("epochs", "time", "patience", "workers", "device", "cache", "tensorboard")
EMA_DECAY = 0.999
LEAST_RATE = 0.01  # of the full one, at the end
LEAST_STEPS = 400  # a small set is seen so often
VALIDATION_COST = 0.5  # of a picture, where training on one costs 1: about a tenth of the time goes into validation
LEAST_VALIDATIONS = 8  # of a run


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of a run, none of them left open.

    Attributes:
        epochs: At most; with `time`, no more than fit into it.
        time: Seconds, or None.
        fresh: Whether the backbone starts from random weights.
        exact_share: Of the steps of a model that is healed, those that it makes without moves.
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
    exact_share: float = 0.0

    def lines(self) -> list[str]:
        """The recipe for people."""
        until = [f"{self.time / 60:g} minute{'' if self.time == 60 else 's'}"] if self.time else []
        until += [counted(self.epochs, "epoch")] if self.epochs < MOST_EPOCHS else []
        stop = f", stops {self.patience} validations after the best" if self.patience else ""
        often = (
            "for a tenth of the time"
            if self.time
            else "every epoch"
            if self.val_every == 1
            else f"every {self.val_every} epochs"
        )
        return [
            f"{' or '.join(until)} of batches of {self.batch} at {self.imgsz[1]}x{self.imgsz[0]} pixels{stop}; "
            f"judged {often}, seed {self.seed}",
            f"AdamW, rate {self.lr:.2g} after {self.warmup:.0%} warm-up, then a cosine; {self.layer_decay:g} of it a "
            f"stage down; weight decay {self.weight_decay:g}, gradients clipped at {self.clip_norm:g}",
            f"frozen: {self.freeze}; drop path {self.drop_path:g}, drop {self.drop:g}; "
            f"{'averaged weights' if self.ema else 'no average of weights'}; symmetry {self.symmetry}",
            f"{self.device}, {self.amp}, {counted(self.workers, 'worker')}",
            *([f"{self.exact_share:.0%} of the steps without moves"] if self.exact_share else []),
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


def rate_at(share: float, warmup: float) -> float:
    """The share of the full rate at a point of the run, 0..1: linear up to `warmup`, then a cosine down to 0.01."""
    if share < warmup:
        return max(share / warmup, LEAST_RATE)
    progress = (share - warmup) / max(1e-9, 1 - warmup)
    return LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def follow(average: torch.Tensor, current: torch.Tensor, updates: torch.Tensor | int) -> torch.Tensor:
    """The next value of an exponential average, which follows faster at the start."""
    if not average.is_floating_point():
        return current
    count = float(updates)
    return torch.lerp(average, current, 1 - min(EMA_DECAY, (1 + count) / (10 + count)))


def choose_recipe(
    options: TrainOptions,
    task: TrainingTask[Any],
    *,
    train_count: int,
    val_count: int,
    imgsz: tuple[int, int],
    fresh: bool,
) -> Recipe:
    """The recipe for so many pictures of `imgsz`; `fresh` where the backbone starts from random weights.

    Raises `ArgumentError` for what cannot be, such as a random backbone that is frozen.
    """
    freeze = options.freeze or "none"
    if fresh and frozen_stages(freeze):
        raise ArgumentError(f"train(): freeze {freeze} would leave random weights as they are: give weights")
    check_sides(imgsz)
    defaults = task.defaults
    batch = options.batch or max(1, min(defaults.batch, train_count // 4))
    steps = max(1, train_count // batch)
    plain = defaults.fresh_epochs if fresh else defaults.epochs
    epochs = options.epochs or max(plain, min(math.ceil(LEAST_STEPS / steps), 20 * plain))
    time = None if options.time is None else seconds_of(options.time)
    if time is not None and options.epochs is None:
        epochs = MOST_EPOCHS
    head_only = freeze == "head-only"
    heals = options.distil is not None
    rate = defaults.fresh_lr if fresh else defaults.head_lr if head_only else defaults.lr * (0.25 if heals else 1)
    device = choose_device(options.device or AUTO)
    return Recipe(
        epochs=epochs,
        time=time,
        patience=options.patience,
        batch=batch,
        imgsz=imgsz,
        lr=options.lr if options.lr is not None else rate * (batch / defaults.batch) ** 0.5,
        layer_decay=options.layer_decay if options.layer_decay is not None else 1.0 if fresh or heals else 0.8,
        weight_decay=options.weight_decay if options.weight_decay is not None else 0.05,
        warmup=0.08 if fresh else 0.05,
        clip_norm=5.0,
        freeze=freeze,
        drop_path=drop_path_of(options),
        drop=options.drop or 0.0,
        ema=options.ema is not False,
        amp=choose_amp(options.amp or AUTO, device),
        device=device,
        workers=default_workers(device) if options.workers is None else options.workers,
        seed=options.seed or 0,
        symmetry=options.symmetry or "mirror",
        extra_share=(0.25 if options.extra_share is None else options.extra_share) if options.extra else 0.0,
        val_every=max(
            1, min(math.ceil(val_count * VALIDATION_COST / (0.1 * train_count)), epochs // LEAST_VALIDATIONS)
        ),
        fresh=fresh,
        exact_share=options.exact_share or 0.0,
    )


def drop_path_of(options: TrainOptions) -> float:
    """The stochastic depth: none where the backbone does not train."""
    if options.drop_path is not None:
        return options.drop_path
    return 0.0 if options.freeze == "head-only" or options.distil else 0.1


def choose_device(device: str) -> str:
    """`device`, or of "auto" the GPU where there is one. Raises `RuntimeMissingError` for one that is not there."""
    if device == AUTO:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RuntimeMissingError(
            f"cannot train on {device!r}: {str(error).splitlines()[0]}: try --device cpu"
        ) from error
    return device


def choose_amp(amp: str, device: str) -> str:
    """What matrices are multiplied in: bf16, fp16 or fp32. "auto" is bf16 where the processor multiplies in it."""
    if amp == "off":
        return "fp32"
    if amp != AUTO:
        return amp
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # AVX512_BF16 alone gains little in training; AMX does
    return "bf16" if torch.cpu._is_amx_tile_supported() else "fp32"


def default_workers(device: str) -> int:
    """Processes that prepare pictures: on a CPU one, as the cores are busy with the network itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(cores - 1, 1)) if device.startswith("cuda") else min(1, cores - 1)
