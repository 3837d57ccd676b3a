"""Pictures of a run: its curves, and predictions beside labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.results import Result
from pvt_edge.sources import read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.metrics.labelled import Answer
    from pvt_edge.training.task import TrainingTask

SAMPLES = 8
SIDE = 360  # pixels that a sample is wide


def draw_curves(history: Sequence[dict[str, Any]], best_epoch: int, figure: str, path: Path) -> None:
    """Losses and figures over the epochs."""
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(9, 4), layout="constrained")
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
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    sheet.savefig(path, dpi=100)


def draw_samples(
    task: "TrainingTask[Any]", samples: Sequence[Any], answers: "Sequence[Answer]", names: Sequence[str], path: Path
) -> None:
    """Labels on the left, what the model finds on the right."""
    import cv2

    rows = []
    for sample, answer in zip(samples[:SAMPLES], answers, strict=False):
        image = read_image(sample.path)
        both = (task.fields(sample, len(names)), task.shown(answer))
        rows.append(np.concatenate([_fit(Result(image, tuple(names), **each).plot()) for each in both], axis=1))
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
