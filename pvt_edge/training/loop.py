"""The training loop. It knows no task: what differs between them is in `TrainingTask`."""

import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.checkpoints.preprocessing import normalise
from pvt_edge.errors import TrainingError
from pvt_edge.metrics.labelled import Scores
from pvt_edge.models import Model
from pvt_edge.models.table import apply_moves
from pvt_edge.moves import NONE, Moves
from pvt_edge.training.judging import Judge
from pvt_edge.training.pictures import Batch, EpochSampler, read_batches
from pvt_edge.training.recipe import Recipe, follow, rate_at
from pvt_edge.training.start import parameter_groups
from pvt_edge.training.state import BEST, LAST, Progress, save_model, save_state, write_results
from pvt_edge.training.task import TrainingTask

CHANNELS_LAST_FROM = 160  # pixels
LONGEST_UNJUDGED = 0.2  # of the time asked for
RESERVE = 0.08  # of the time asked for, for what comes after the last step
OVER = "the time is over"
_AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Update:
    """How a run is getting on, after a step or, with `figures`, after an epoch.

    `waiting` is the share of the epoch's time that passed until the next pictures were ready.
    """

    epoch: int
    epochs: int
    share: float
    loss: float
    rate: float
    images_per_s: float
    seconds_left: float
    waiting: float
    figures: dict[str, float] | None = None
    is_best: bool = False


class Trainer:
    """One run: `run` trains from where `progress` is to the end, and leaves the best and the last weights.

    Attributes:
        progress: How far it is.
        stopped: Why it ended before its last epoch; empty where it did not.
    """

    def __init__(
        self,
        task: TrainingTask[Any],
        model: Model,
        frozen: list[nn.Module],
        recipe: Recipe,
        loader: "DataLoader[Any]",
        sampler: EpochSampler,
        judging: Judge,
        folder: Path,
        normalise_spec: NormaliseSpec,
        metadata: dict[str, str],
        report: Callable[[Update], None],
        *,
        began: float,
        teacher: nn.Module | None = None,
        moves: Moves = NONE,
        log: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.task, self.model, self.frozen, self.recipe = task, model, frozen, recipe
        self.loader, self.sampler, self.judging = loader, sampler, judging
        self.folder, self.spec, self.metadata, self.report, self.log = folder, normalise_spec, metadata, report, log
        self.teacher, self.moves = teacher, moves
        self.progress = Progress()
        self.stopped = ""
        self.device = torch.device(recipe.device)
        self._started, self._spent_before = began, 0.0
        self._reserve, self._longest, self._judged_at = 0.0, 0.0, 0.0
        # measured on a CPU: a tenth faster for large pictures, a tenth slower for small ones
        large = self.device.type == "cuda" or min(recipe.imgsz) >= CHANNELS_LAST_FROM
        self._layout = torch.channels_last if large else torch.contiguous_format
        model.to(memory_format=self._layout)  # type: ignore[call-overload]
        groups = parameter_groups(model, recipe.lr, recipe.layer_decay, recipe.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda _: rate_at(self.share, recipe.warmup))
        self.average = AveragedModel(model, avg_fn=follow, use_buffers=True) if recipe.ema else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.amp == "fp16")

    @property
    def seconds(self) -> float:
        """Time spent, over all starts."""
        return self._spent_before + time.monotonic() - self._started

    @property
    def share(self) -> float:
        """How much of the run is over, 0..1, by steps or by time, whichever is further."""
        by_steps = self.progress.step / (self.recipe.epochs * len(self.sampler))
        if self.recipe.time is None:
            return min(by_steps, 1.0)
        return min(max(by_steps, self.seconds / (self.recipe.time - self._reserve)), 1.0)

    @property
    def _out_of_time(self) -> bool:
        return bool(self.recipe.time) and self.share >= 1

    @property
    def kept(self) -> Model:
        """The weights that are judged and saved: the averaged ones where there are such."""
        kept: Any = self.average.module if self.average is not None else self.model
        return kept

    def restore(self, progress: Progress, parts: dict[str, Any]) -> None:
        """Go on from a state that was saved."""
        self.progress, self._spent_before = progress, progress.seconds
        for name, part in self._parts().items():
            part.load_state_dict(parts[name])

    def run(self) -> None:
        """Train to the end. Raises `TrainingError` for a loss that is no number, or files that cannot be written."""
        if self.recipe.time:
            self._reserve_for(self.judging.estimate(self.kept.eval()))
        if self.progress.epoch and self._out_of_time:  # a run that had come to its end
            self.stopped = OVER
        try:
            while self.progress.epoch < self.recipe.epochs and not self.stopped:
                self._epoch()
        except KeyboardInterrupt:
            self.progress.epoch = len(self.progress.history)  # one that was being judged is not done
            self.stopped = "Ctrl-C"

    def _epoch(self) -> None:
        progress = self.progress
        began, cpu_began = time.monotonic(), time.process_time()
        losses, images, waited = self._steps()
        trained = time.monotonic() - began
        progress.epoch += 1
        out_of_time = self._out_of_time  # of the steps: what comes after them may take the rest of it
        due = progress.epoch == self.recipe.epochs or out_of_time or self._is_due()
        row: dict[str, Any] = {
            "epoch": progress.epoch,
            "step": progress.step,
            **{f"{name}_loss": total / max(images[0], 1) for name, total in losses.items()},
            "lr": self.optimizer.param_groups[-1]["lr"],
        }
        scores, is_best = None, False
        if due:
            scores = self._validated()
            row |= scores.figures
            is_best = self._judge(scores)
        row |= {
            "images_per_s": images[1] / max(trained, 1e-9),
            "waiting": waited / max(trained, 1e-9),
            "seconds": self.seconds,
            "cpu_seconds": time.process_time() - cpu_began,
            "memory_mb": memory_mb(),
        }
        progress.history.append(row)
        self._save(is_best)
        if self.log is not None:
            self.log(row)
        total = sum(value for name, value in row.items() if name.endswith("_loss"))
        figures = {name: scores.figures[name] for name in self.judging.shown_figures} if scores else None
        self.report(self._update(total, row["images_per_s"], row["waiting"], figures, is_best))
        out_of_patience = self.recipe.patience and progress.since_best >= self.recipe.patience
        if progress.epoch < self.recipe.epochs and (out_of_time or out_of_patience):
            self.stopped = f"no better for {progress.since_best} validations" if out_of_patience else OVER

    def _steps(self) -> tuple[dict[str, float], tuple[int, int], float]:
        """(sums of the losses, (steps, images), seconds spent waiting for pictures)."""
        self.sampler.epoch = self.progress.epoch
        self.sampler.view_hw = self.task.view_hw(self.recipe.imgsz, self.share)
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.progress.epoch)  # of drop path, whatever went before
        self.model.train()
        for module in self.frozen:
            module.eval()
        losses: dict[str, float] = {}
        steps = images = 0
        waited, began = 0.0, time.monotonic()
        mark = began
        for batch in read_batches(self.loader):
            waited += time.monotonic() - mark
            parts = self._step(batch)
            for name, value in parts.items():
                losses[name] = losses.get(name, 0.0) + value
            steps, images = steps + 1, images + len(batch.indices)
            mark = time.monotonic()
            self.report(self._update(sum(parts.values()), images / (mark - began), waited / (mark - began)))
            if self._out_of_time:
                break
        return losses, (steps, images), waited

    def _step(self, batch: Batch) -> dict[str, float]:
        recipe = self.recipe
        images = normalise(batch.images.to(self.device, non_blocking=True), self.spec)
        images = images.contiguous(memory_format=self._layout)
        cast = torch.autocast(self.device.type, _AMP.get(recipe.amp), enabled=recipe.amp in _AMP)
        if recipe.exact_share:
            draw = random.Random(f"{recipe.seed} {self.progress.step}").random()  # the same after a resume
            apply_moves(self.model, NONE if draw < recipe.exact_share else self.moves)
        with cast:
            outputs = self.model(images)
        if self.teacher is None:
            parts = self.task.loss(self.model, outputs, batch.targets, self.sampler.view_hw)
        else:
            with cast, torch.no_grad():
                taught = self.teacher(images)
            parts = self.task.distil(self.model, outputs, taught, self.sampler.view_hw)
        loss = torch.stack([*parts.values()]).sum()
        if not math.isfinite(loss.item()):
            self._refuse_loss(parts, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.progress.step += 1
        self.scheduler.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return {name: float(part.detach()) for name, part in parts.items()}

    def _refuse_loss(self, parts: dict[str, torch.Tensor], batch: Batch) -> None:
        which = ", ".join(name for name, part in parts.items() if not math.isfinite(part.item()))
        samples: Any = getattr(self.loader.dataset, "samples")  # noqa: B009 - a Dataset of ours
        names = ", ".join(str(samples[i].path) for i in batch.indices[:3])
        progress = self.progress
        kept = f"the best weights, of epoch {progress.best_epoch}, are kept in {self.folder}"
        raise TrainingError(
            f"the {which} loss is no number at epoch {progress.epoch + 1}, step {progress.step + 1} ({names}); "
            f"{kept if progress.best is not None else 'there are no weights yet'}; try a lower --lr, or --amp off"
        )

    def _validated(self) -> Scores:
        began = time.monotonic()
        kept = self.kept
        was_training = kept.training
        if self.recipe.exact_share:
            apply_moves(kept, self.moves)
        scores = self.judging(kept.eval())
        kept.train(was_training)
        self._reserve_for(time.monotonic() - began)
        self._judged_at = self.seconds
        return scores

    def _is_due(self) -> bool:
        """Whether to judge: of a run of so many epochs by their number, of one by the clock for a tenth of the time."""
        if self.recipe.time is None:
            return self.progress.epoch % self.recipe.val_every == 0
        return self.seconds - self._judged_at >= min(9 * self._longest, LONGEST_UNJUDGED * self.recipe.time)

    def _reserve_for(self, judging_s: float) -> None:
        """Keep time for judging once more after the last step, on a machine that may have become busier."""
        if self.recipe.time:
            self._longest = max(self._longest, judging_s)
            self._reserve = min(RESERVE * self.recipe.time + 2 * self._longest, 0.5 * self.recipe.time)

    def _judge(self, scores: Scores) -> bool:
        """Whether these are the best figures so far."""
        progress, value = self.progress, scores.figures[self.judging.best_figure]
        if math.isnan(value) or (progress.best is not None and value <= progress.best):
            progress.since_best += 1
            return False
        progress.best, progress.best_epoch, progress.since_best = value, progress.epoch, 0
        progress.figures = dict(scores.figures)
        self.judging.keep()
        return True

    def _save(self, is_best: bool) -> None:
        progress = self.progress
        progress.seconds = self.seconds
        notes = {**self.metadata, "epoch": str(progress.epoch)}
        if is_best:
            save_model(self.kept, self.folder / BEST, notes)
        save_state(self.folder, progress, {name: part.state_dict() for name, part in self._parts().items()})
        save_model(self.kept, self.folder / LAST, notes)
        write_results(self.folder, progress.history)

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler, "scaler": self.scaler}
        return parts if self.average is None else {**parts, "average": self.average}

    def _update(
        self, loss: float, speed: float, waiting: float, figures: dict[str, float] | None = None, is_best: bool = False
    ) -> Update:
        share = self.share
        left = self.seconds / share * (1 - share) if share else math.inf
        epoch = self.progress.epoch if figures is not None else self.progress.epoch + 1
        rate = self.optimizer.param_groups[-1]["lr"]
        return Update(epoch, self.recipe.epochs, share, loss, rate, speed, left, waiting, figures, is_best)


def memory_mb() -> float:
    """The memory of this process, in MB; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0
