"""How well a model in training does: the figures of `val`, and pictures of them and of the run."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from pvt_edge.bundle.schema import NormaliseSpec
from pvt_edge.evaluation.arrays import answers_of
from pvt_edge.metrics.labelled import Answer, Labelled, Scores
from pvt_edge.reporting.metric_plots import draw_confusion
from pvt_edge.reporting.plots import own_style
from pvt_edge.results import Result
from pvt_edge.runtimes import TensorSpec
from pvt_edge.runtimes.torch import TorchRuntime
from pvt_edge.sources import read_image
from pvt_edge.tasks import get_task
from pvt_edge.training.state import Progress
from pvt_edge.training.task import TrainingTask

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

BATCH = {"cpu": 4, "cuda": 32}
TRIAL = 4  # pictures that the time of judging is told by
SAMPLES = 8  # pictures that are drawn
SIDE = 360  # pixels that one of them is wide


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
        # from first to last, as they often lie by class
        places = np.linspace(0, len(samples) - 1, min(SAMPLES, len(samples))).round().astype(int)
        shown = [(samples[i], answer) for i in places if (answer := answers[i]) is not None]
        draw_samples(self.training, [s for s, _ in shown], [a for _, a in shown], names, folder / "samples.jpg")
        if self._best.scores.confusion is not None:
            with own_style():
                draw_confusion(self._best.scores.confusion).savefig(folder / "confusion.png")
        draw_curves(progress.history, progress.best_epoch, self.best_figure).savefig(folder / "curves.png")

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


def draw_curves(history: Sequence[dict[str, Any]], best_epoch: int, figure: str) -> "Figure":
    """Losses and figures over the epochs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    sheet = Figure(figsize=(9, 4), dpi=100, layout="constrained")
    left, right = sheet.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for name in history[0]:
        if name.endswith("_loss"):
            left.plot(epochs, [row[name] for row in history], label=name.removesuffix("_loss"))
    judged = [row for row in history if figure in row]
    for name in [key for key in (judged[0] if judged else {}) if key in (figure, "AP50", "top1")]:
        right.plot([row["epoch"] for row in judged], [row[name] for row in judged], marker=".", label=name)
    if best_epoch:
        right.axvline(best_epoch, color="grey", linestyle=":", label=f"best, epoch {best_epoch}")
    for axes, title in ((left, "loss"), (right, "on val")):
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    return sheet


def draw_samples(
    task: TrainingTask[Any], samples: Sequence[Any], answers: Sequence[Answer], names: Sequence[str], path: Path
) -> None:
    """Labels on the left, what the model finds on the right."""
    import cv2

    rows = []
    for sample, answer in zip(samples, answers, strict=True):
        image = read_image(sample.path)
        both = (task.fields(sample, len(names)), task.shown(answer))
        # shares have no place in the picture, and their words need room, which a small one lacks
        images = [_fit(image) if "probs" in each else image for each in both]
        plots = [Result(one, tuple(names), **each).plot() for one, each in zip(images, both, strict=True)]
        rows.append(np.concatenate([_fit(plot) for plot in plots], axis=1))
    if rows:
        cv2.imencode(".jpg", np.concatenate(rows))[1].tofile(str(path))


def _fit(image: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """The picture SIDE pixels wide, or less where it would be higher than that by half."""
    import cv2

    height, width = image.shape[:2]
    scale = min(SIDE / width, 1.5 * SIDE / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.full((size[1], SIDE, 3), 255, np.uint8)
    canvas[:, : size[0]] = small
    return canvas
