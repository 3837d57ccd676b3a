"""What an evaluation found."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pvt_edge.metrics.labelled import Settings

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One artifact in one runtime.

    `figures` are fractions 0..1, NaN where there is nothing to find: for detectors COCOeval's twelve ("AP", "AP50" ...
    "ARl"), for classifiers "top1", "top5" and "balanced". `classes` has those of each class, by name, and the count
    of its "boxes" or "pictures". `speed_ms` are means a picture; `seconds` the whole loop, reading files included.
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
    what is odd in the data or was left out.
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
