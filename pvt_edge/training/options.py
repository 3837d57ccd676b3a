"""The recipe of a run, with no number left open."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

MOST_EPOCHS = 1_000_000  # where time alone ends a run
# what a run that goes on may be told anew; all else would make another run of it
MAY_CHANGE = ("epochs", "time", "patience", "workers", "device", "cache", "tensorboard")


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
