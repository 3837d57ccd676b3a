"""The training loop of a detector."""

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from pvt_edge.models.anchors import cell_anchors, level_anchors
from pvt_edge.models.detector import Detector
from pvt_edge.training.batches import Picture, batches
from pvt_edge.training.ema import WeightAverage
from pvt_edge.training.losses import detection_loss
from pvt_edge.training.recipe import Recipe

LOG_EVERY = 50


def train(
    model: Detector,
    recipe: Recipe,
    real: list[Picture],
    drawn: list[Picture],
    *,
    on_checkpoint: Callable[[int, nn.Module], None] | None = None,
    checkpoint_every: int = 1000,
) -> nn.Module:
    """The averaged weights of `model` trained by `recipe`, in bfloat16 autocast, on CPU or wherever it lies.

    `on_checkpoint(step, averaged)` is called every `checkpoint_every` steps, and after the last.
    """
    rng = np.random.default_rng(recipe.seed)
    decay = [p for p in model.parameters() if p.ndim > 1]
    no_decay = [p for p in model.parameters() if p.ndim <= 1]  # norms and biases
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": no_decay, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
    )
    total = sum(phase.steps for phase in recipe.phases)
    average = WeightAverage(model, recipe.ema_decay)
    model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    step, started = 0, time.perf_counter()
    for phase in recipe.phases:
        anchors = torch.cat(
            [
                level_anchors(
                    (-(-phase.crop_hw[0] // stride), -(-phase.crop_hw[1] // stride)),
                    stride,
                    cell_anchors(model.config, level),
                ).float()
                for level, stride in enumerate(model.config.strides)
            ]
        )
        source = batches(real, drawn, recipe.generated, phase, rng)
        for _ in range(phase.steps):
            images, truths = next(source)
            rate = recipe.learning_rate * _schedule(step, total, recipe.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast("cpu", torch.bfloat16):
                logits, deltas = model(images.contiguous(memory_format=torch.channels_last))
            class_loss, box_loss = detection_loss(logits, deltas, anchors, truths, model.num_classes)
            optimizer.zero_grad()
            (class_loss + box_loss).backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
            average.update(model)
            step += 1
            if step % LOG_EVERY == 0:
                minutes = (time.perf_counter() - started) / 60
                print(
                    f"step {step}/{total}  class {class_loss.item():.3f}  box {box_loss.item():.3f}  {minutes:.1f} min",
                    flush=True,
                )
            if on_checkpoint and (step % checkpoint_every == 0 or step == total):
                on_checkpoint(step, average.model)
    return average.model


def _schedule(step: int, total: int, warmup: int) -> float:
    """Linear warm-up to 1, then a cosine to 0.01."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))
