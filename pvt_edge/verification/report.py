"""What `verify` found: a report that is true when every artifact is within its tolerance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pvt_edge.comparison.difference import FIGURES, times


@dataclass(frozen=True)
class PictureRow:
    """One picture's figures, and how much of what is allowed the worst of them uses up (1 is the limit)."""

    picture: str
    figures: Mapping[str, float]
    severity: float


@dataclass(frozen=True)
class ArtifactRow:
    """An artifact's `figures` over all pictures against `limits`, and `failures`, a line each, empty within them;
    `classes` are the IoU of a segmenter's, by name."""

    name: str
    figures: Mapping[str, float]
    limits: Mapping[str, float]
    failures: tuple[str, ...]
    pictures: tuple[PictureRow, ...] = ()
    classes: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class VerifyReport:
    """True when at least one artifact was compared and all are within tolerance.

    `reference` is "onnxruntime fp32" with its bundle; `skipped` (artifact, reason) could not run here, `unread` are
    pictures that could not be read; `folder` is where report and contact sheet were written, None where nowhere.
    """

    bundle: Path
    reference: str
    reference_bundle: Path
    task: str
    source: str
    pictures: int
    pictures_there: int | None
    seed: int
    conf: float | None
    artifacts: tuple[ArtifactRow, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()
    folder: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.artifacts) and all(self.artifacts)

    def __repr__(self) -> str:
        return f"VerifyReport({self.verdict})"

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for every figure of every artifact that is outside its tolerance."""
        return tuple(f"{row.name}: {line}" for row in self.artifacts for line in row.failures)

    @property
    def verdict(self) -> str:
        """A sentence, or two where some failed and some are outside."""
        other = "" if self.reference_bundle == self.bundle else f" of {self.reference_bundle}"
        against = f"{self.reference}{other} on {self.pictures} picture{'' if self.pictures == 1 else 's'}"
        bad = ", ".join(row.name for row in self.artifacts if not row and row.pictures)
        failed = ", ".join(row.name for row in self.artifacts if not row and not row.pictures)
        lines = [f"Outside tolerance against {against}: {bad}."] if bad else []
        lines += [f"Failed before it could be compared with {self.reference}{other}: {failed}."] if failed else []
        good = ", ".join(row.name for row in self.artifacts)
        lines = lines or [f"Within tolerance against {against}: {good}."]
        return " ".join([*lines, *([self.mean_note] if self.mean_note else [])])

    @property
    def mean_note(self) -> str:
        """Where an artifact is within tolerance with a picture that is not: that the rule is of all together; or ""."""
        beyond = [p.severity for row in self.artifacts if row for p in row.pictures if p.severity > 1]
        if not beyond:
            return ""
        pictures = "1 picture" if len(beyond) == 1 else f"{len(beyond)} pictures"
        return (
            f"The limits are for all pictures together: {pictures} alone would be outside, at up to "
            f"{times(max(beyond))} the limit."
        )

    def to_json(self) -> dict[str, Any]:
        """The whole as JSON values."""
        return {
            "within": bool(self),
            "rule": "each figure over all pictures together; severity is of a single one, 1 at the limit",
            "verdict": self.verdict,
            "bundle": str(self.bundle),
            "reference": {"artifact": self.reference, "bundle": str(self.reference_bundle)},
            "task": self.task,
            "source": self.source,
            "pictures": self.pictures,
            "pictures_there": self.pictures_there,
            "seed": self.seed,
            "conf": self.conf,
            "artifacts": [_row(row) for row in self.artifacts],
            "skipped": [{"artifact": name, "reason": reason} for name, reason in self.skipped],
            "unread": list(self.unread),
            "folder": str(self.folder) if self.folder else None,
        }


def _row(row: ArtifactRow) -> dict[str, Any]:
    return {
        "artifact": row.name,
        "within": bool(row),
        "figures": dict(row.figures),
        "limits": {FIGURES[name].option: _finite(limit) for name, limit in row.limits.items()},
        "failures": list(row.failures),
        **({"classes": dict(row.classes)} if row.classes else {}),
        "pictures": [{"picture": p.picture, **p.figures, "severity": _finite(p.severity)} for p in row.pictures],
    }


def _finite(value: float) -> float | None:
    """The value as JSON has it; None for infinity."""
    return value if value < float("inf") else None
