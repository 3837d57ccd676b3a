"""What an evaluation found."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pvt_edge.metrics.average_precision import Row as Detection

Figures = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """The thresholds of a detector: scores above `conf`, overlaps up to `iou`, `max_det` detections a picture."""

    conf: float
    iou: float
    max_det: int


@dataclass(frozen=True)
class Row:
    """One artifact in one runtime.

    `figures` are fractions 0..1, NaN where there is nothing to find: for detectors COCOeval's twelve ("AP", "AP50" ...
    "ARl"), for classifiers "top1" and "top5". `classes` has those of each class, by name, and the count of its
    "boxes" or "pictures". `speed_ms` are means a picture; `seconds` the whole loop, reading files included.
    `detections` counts a detector's; `detections_file` has them, where it was asked for.
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

    @property
    def name(self) -> str:
        return f"{self.runtime} {self.precision}"


class Judged(NamedTuple):
    """A row, notes on the data, and a detector's detections as rows of COCO's results format."""

    row: Row
    notes: list[str]
    detections: list[Detection]


@dataclass(frozen=True)
class Failure:
    """An artifact that could not be evaluated here, and why."""

    runtime: str
    precision: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Every artifact's row, on which pictures and how.

    `image_ids` are the ids that counted, in a COCO file; `settings` is None for classifiers; `notes` say what is odd in
    the data or was left out.
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
    return None if isinstance(value, float) and not math.isfinite(value) else value
