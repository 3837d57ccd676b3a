"""How a benchmark measures."""

from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

from pvt_edge.benchmarks.record import Settings
from pvt_edge.benchmarks.rows import Choice

ROUNDS = 10  # so that what slows the machine for a moment reaches everyone
LONGEST_SLICE_S = 0.5
QUICK_S, QUICK_WARMUP_S, QUICK_ROUNDS = 1.0, 0.2, 5


@dataclass(frozen=True)
class Options:
    """How to measure; see `pvt-edge benchmark --help`."""

    choice: Choice = field(default_factory=Choice)
    duration_s: float = 5.0
    warmup_s: float = 0.5
    percentiles: tuple[float, ...] = (50.0, 90.0, 95.0, 99.0)
    seed: int = 0
    least_rounds: int = ROUNDS
    end_to_end: bool = True
    compare: tuple[str, ...] = ()  # stock, and names of comparison models
    images: Path | None = None
    data: Path | None = None
    weights: str | None = None
    head: str | None = None
    cold_start: bool = True
    roofline: bool = True
    layers: bool = True

    def quick(self) -> "Options":
        """The same for a first look: fewer rounds, no cold starts, no roofline and no layers."""
        return replace(self, least_rounds=QUICK_ROUNDS, cold_start=False, roofline=False, layers=False)

    @property
    def rounds(self) -> int:
        """How many turns every row has."""
        return max(self.least_rounds, ceil(self.duration_s / LONGEST_SLICE_S))

    @property
    def slice_s(self) -> float:
        """Seconds of one turn."""
        return self.duration_s / self.rounds

    def settings(self, pictures: str) -> Settings:
        """What the record keeps of it; `pictures` says what end-to-end calls see."""
        return Settings(
            hint=self.choice.hint,
            duration_s=self.duration_s,
            warmup_s=self.warmup_s,
            slice_s=round(self.slice_s, 4),
            rounds=self.rounds,
            seed=self.seed,
            threads=self.choice.threads,
            streams=self.choice.streams,
            device=self.choice.device,
            pictures=pictures,
        )
