"""How well a model in training does on the pictures it is judged by: the figures of `val`, and pictures of them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.evaluation.arrays import answers_of
from pvt_edge.metrics.labelled import Answer, Labelled, Scores
from pvt_edge.reporting.drawings import own_style
from pvt_edge.reporting.plot_confusion import draw_confusion
from pvt_edge.runtimes import TensorSpec
from pvt_edge.runtimes.torch import TorchRuntime
from pvt_edge.tasks import get_task
from pvt_edge.training.plots import SAMPLES, draw_curves, draw_samples
from pvt_edge.training.state import Progress
from pvt_edge.training.task import TrainingTask

TRIAL = 4  # pictures that the time of judging is told by
BATCH = {"cpu": 4, "cuda": 32}


class Judge(Protocol):
    """Says how well a model does, and draws that.

    Attributes:
        best_figure: The figure that the best weights are chosen by.
        shown_figures: Those that a line on the terminal has.
    """

    best_figure: str
    shown_figures: tuple[str, ...]

    def __call__(self, model: nn.Module) -> Scores:
        """The figures of a model in eval mode."""

    def estimate(self, model: nn.Module) -> float:
        """About how many seconds that takes."""

    def keep(self) -> None:
        """The latest answers are the best so far."""

    def draw(self, best: Callable[[], nn.Module], progress: Progress, folder: Path) -> None:
        """Draw what shows how well the best weights do."""


class _Judged(NamedTuple):
    """The answers to all pictures, and what they are worth."""

    answers: list[Answer | None]
    scores: Scores


class Judging:
    """Judges models of the classes `labels` by `labelled` pictures, resized to `imgsz`."""

    def __init__(
        self,
        training: TrainingTask[Any],
        labelled: Labelled[Any],
        labels: tuple[str, ...],
        imgsz: tuple[int, int],
        normalise: NormaliseSpec,
    ) -> None:
        self.training, self.labelled, self.labels = training, labelled, labels
        self.imgsz, self.normalise = imgsz, normalise
        self.best_figure, self.shown_figures = training.best_figure, training.shown_figures
        self._latest = self._best = _Judged([], Scores({}, {}))

    def __call__(self, model: nn.Module) -> Scores:
        """The figures of a model in eval mode."""
        rated, answers = [], []
        for sample, answer, image_hw in self._answers(model, self.labelled):
            rated.append(self.labelled.rate(sample, answer, image_hw))
            answers.append(answer)
        self._latest = _Judged(answers, self.labelled.score(rated))
        return self._latest.scores

    def estimate(self, model: nn.Module) -> float:
        """About how many seconds judging takes, by a few of the pictures."""
        count = len(self.labelled.samples)
        few = replace(self.labelled, samples=self.labelled.samples[: min(TRIAL, count)])
        list(self._answers(model, few))  # the first time takes longer
        began = time.monotonic()
        list(self._answers(model, few))
        return (time.monotonic() - began) * count / len(few.samples)

    def keep(self) -> None:
        """The latest answers are the best so far."""
        self._best = self._latest

    def draw(self, best: Callable[[], nn.Module], progress: Progress, folder: Path) -> None:
        """Draw the curves, predictions of the best weights beside labels, and the confusion matrix."""
        if not self._best.answers:  # they are of an earlier start
            self(best())
            self.keep()
        samples, answers, names = self.labelled.samples, self._best.answers, self.labels
        step = max(1, len(samples) // SAMPLES)
        shown = [(s, a) for s, a in zip(samples[::step], answers[::step], strict=True) if a is not None]
        draw_samples(self.training, [s for s, _ in shown], [a for _, a in shown], names, folder / "samples.jpg")
        if self._best.scores.confusion is not None:
            with own_style():
                draw_confusion(self._best.scores.confusion).savefig(folder / "confusion.png")
        draw_curves(progress.history, progress.best_epoch, self.best_figure, folder / "curves.png")

    def _answers(
        self, model: nn.Module, labelled: Labelled[Any]
    ) -> Iterator[tuple[Any, Answer | None, tuple[int, int]]]:
        device = next(model.parameters()).device
        whole = self.training.whole(model, self.imgsz, self.normalise).eval()
        inputs = (TensorSpec("images", "uint8", (-1, *self.imgsz, 3)),)
        batch = min(BATCH.get(device.type, 1), len(labelled.samples))
        task = get_task(self.training.name)
        with torch.inference_mode(), TorchRuntime(whole, inputs) as runtime:
            yield from answers_of(task, labelled, runtime, self.training.resize, self.labels, batch=batch)
