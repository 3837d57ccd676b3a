"""How far an artifact may differ from its reference, by task and precision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from pvt_edge.errors import RuntimeInputError


@dataclass(frozen=True)
class Figure:
    """What is measured: its words, those of a narrow column, the option that limits it, and whether that is the least
    or the most allowed."""

    words: str
    short: str
    option: str
    least: bool
    unit: str = ""
    empty: float = 0.0  # the value where nothing was there to measure

    def text(self, value: float) -> str:
        """The value as people read it: 1.0000, 0.43 px, 2.2e-07."""
        if self.least:  # 0.9999987 is not 1
            digits = f"{value:.{4 if value in (0, 1) or value < 0.9999 else 8}f}"
        elif value == 0 or 1e-3 <= value < 1e4:
            digits = f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"
        else:
            digits = f"{value:.1e}"
        return f"{digits} {self.unit}".rstrip()

    def within(self, value: float, limit: float) -> bool:
        """Whether the value keeps the limit; NaN does not."""
        return value >= limit if self.least else value <= limit

    def beyond(self, value: float, limit: float) -> str:
        """How a value is outside its limit: "0.34 px above the most allowed"."""
        if self.least:
            return f"{limit - value:.2g} below the least allowed"
        return f"{self.text(value - limit)} above the most allowed"

    def severity(self, value: float, limit: float) -> float:
        """How much of what is allowed the value uses up: 0 for equal answers, 1 at the limit."""
        used, allowed = (1 - value, 1 - limit) if self.least else (value, limit)
        return used / max(allowed, 1e-12)


FIGURES = {
    "f1": Figure("matched-box F1", "F1", "min_f1", least=True, empty=1.0),
    "top1": Figure("top-1 agreement", "top-1", "min_top1", least=True, empty=1.0),
    "cosine": Figure("cosine", "cosine", "min_cosine", least=True, empty=1.0),
    "box_px": Figure("box drift", "box px", "max_box_px", least=False, unit="px"),
    "score_drift": Figure("score drift", "score", "max_score_drift", least=False),
    "feature_error": Figure("feature error", "error", "max_feature_error", least=False),
}
TASK_FIGURES = {
    "detect": ("f1", "box_px", "score_drift"),
    "classify": ("top1", "cosine", "score_drift"),
    "features": ("cosine", "feature_error"),
}
# Measured on B0 with real and drawn pictures, sound artifacts and planted faults (docs/verify.md): two float32
# runtimes use up a twentieth of the first row at most, bf16 and int8 a little more than half of theirs.
DEFAULTS: dict[str, dict[str, tuple[float, ...]]] = {
    "detect": {
        "fp32": (0.999, 1e-3, 1e-5),
        "fp16": (0.995, 0.1, 1e-3),
        "bf16": (0.99, 0.5, 6e-3),
        "int8": (0.98, 1.5, 1e-2),
    },
    "classify": {
        "fp32": (0.999, 0.999999, 1e-5),
        "fp16": (0.99, 0.99999, 2e-3),
        "bf16": (0.98, 0.9998, 1e-2),
        "int8": (0.95, 0.998, 3e-2),
    },
    "features": {
        "fp32": (0.999999, 2e-5),
        "fp16": (0.99999, 3e-3),
        "bf16": (0.9998, 2e-2),
        "int8": (0.998, 6e-2),
    },
}
LOOSENESS = ("fp32", "fp16", "bf16", "int8")


def times(severity: float) -> str:
    """How many times what is allowed: "0.98 times", "24 times"."""
    return f"{severity:,.0f} times" if severity >= 10 else f"{severity:.2g} times"


class Limits(TypedDict, total=False):
    """Limits in place of the defaults: `min_` of shares 0..1, `max_` of differences; None is the default."""

    min_f1: float | None
    min_top1: float | None
    min_cosine: float | None
    max_box_px: float | None
    max_score_drift: float | None
    max_feature_error: float | None


def check_limits(task: str, limits: Limits) -> dict[str, float]:
    """The limits given, by figure. Raises `RuntimeInputError` for one out of range or of another task."""
    options = {FIGURES[name].option: name for name in TASK_FIGURES[task]}
    chosen: dict[str, float] = {}
    for option, value in limits.items():
        if value is None:
            continue
        if option not in options:
            raise RuntimeInputError(f"{option} does not judge a {task} bundle: its limits are {', '.join(options)}")
        if not isinstance(value, int | float) or not 0 <= value <= (1 if option.startswith("min_") else float("inf")):
            range_ = "from 0 to 1" if option.startswith("min_") else "from 0"
            raise RuntimeInputError(f"{option} must be a number {range_}, got {value!r}")
        chosen[options[option]] = float(value)
    return chosen


def outside(task: str, precision: str, figures: Mapping[str, float]) -> str:
    """What of `figures`, by name, an artifact of that precision may not have, in words; "" where all is within."""
    limits = tolerance(task, precision)
    return ", ".join(
        f"{FIGURES[name].words} {FIGURES[name].text(value)}, {FIGURES[name].beyond(value, limits[name])}"
        for name, value in figures.items()
        if not FIGURES[name].within(value, limits[name])
    )


def tolerance(task: str, *precisions: str, given: Mapping[str, float] | None = None) -> dict[str, float]:
    """Limit by figure, in the task's order, for two sides of these precisions: those of the looser, and what is
    `given` in their place."""
    loosest = max(precisions, key=LOOSENESS.index)
    defaults = dict(zip(TASK_FIGURES[task], DEFAULTS[task][loosest], strict=True))
    return {**defaults, **(given or {})}
