"""The numbers of a training run, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A stretch of training: `steps` batches of `batch` crops of `crop_hw` pixels, cells scaled by `scale`."""

    steps: int
    batch: int
    crop_hw: tuple[int, int]
    scale: tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """How the `cells` weights were made: small square crops first, whole frames at the end.

    A crop costs a third of a frame and is an augmentation of its own; the last phase settles the model on the
    sizes and borders it will meet. `generated` is the share of drawn scenes in a batch, `scenes` their number.
    """

    phases: tuple[Phase, ...] = (
        Phase(steps=3500, batch=8, crop_hw=(320, 320), scale=(0.6, 1.5)),
        Phase(steps=1400, batch=4, crop_hw=(480, 640), scale=(0.8, 1.25)),
    )
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 400
    clip_norm: float = 5.0
    drop_path: float = 0.1
    ema_decay: float = 0.999
    generated: float = 0.25
    scenes: int = 600
    seed: int = 0
