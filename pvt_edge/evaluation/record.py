"""What an evaluation found: each artifact's figures, or why it has none."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pvt_edge.metrics.confusion import Confusion
from pvt_edge.metrics.curves import Curves
from pvt_edge.metrics.labelled import Settings
from pvt_edge.predictor.slicing import Slicing

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One artifact in one runtime.

    `figures` are fractions 0..1, NaN where there is nothing to find: for detectors COCOeval's twelve ("AP", "AP50" ...
    "ARl"), for classifiers "top1", "top5" and "balanced", for segmenters "mIoU", "pixel_accuracy" and "mean_accuracy".
    `classes` has those of each class, by name, and the count of its "boxes", "pictures" or "pixels". `speed_ms` are
    means a picture; `seconds` the whole loop, reading files included. `detections` counts a detector's;
    `detections_file` has them, where it was asked for. `confusion` says what is taken for what, `curves` how precision
    and recall trade over the threshold; None of a task, or of too many classes, where that says nothing.
    """

    runtime: str
    precision: str
    device: str
    figures: Figures
    classes: dict[str, Figures]
    speed_ms: Figures
    seconds: float
    detections: int | None = None
    detections_file: Path | None = None
    confusion: Confusion | None = None
    curves: Curves | None = None

    @property
    def name(self) -> str:
        return f"{self.runtime} {self.precision}"


@dataclass(frozen=True)
class Failure:
    """An artifact that could not be evaluated here, and why."""

    runtime: str
    precision: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Every artifact's row, on which pictures and how.

    `image_ids` are the ids that counted, in a COCO file; `settings` is None for a task without thresholds; `notes` say
    what is odd in the data or was left out; `slicing` is how pictures were run in tiles, None where they were not.
    """

    bundle: Path
    task: str
    data: Path
    images: Path
    pictures: int
    pictures_in_data: int
    settings: Settings | None
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    image_ids: tuple[int, ...] = ()
    slicing: Slicing | None = None

    def __repr__(self) -> str:
        rows = "; ".join(
            f"{row.name} {name} {row.figures[name]:.3f}" for row in self.rows for name in [*row.figures][:1]
        )
        return f"Evaluation({str(self.bundle)!r} on {self.pictures} pictures: {rows})"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data; what is no number is None."""
        return dict(_plain(asdict(self)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return np.round(value, 6).tolist()
    return None if isinstance(value, float) and not math.isfinite(value) else value
