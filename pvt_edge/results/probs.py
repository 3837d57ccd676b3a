"""A classification's shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError


@dataclass(frozen=True, eq=False)
class Probs:
    """The share of each class, `data` (K,) float32 in 0..1, K >= 1."""

    data: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", np.asarray(self.data, np.float32))
        if self.data.ndim != 1 or len(self.data) == 0:
            raise DataError(f"class shares need the shape (K,) with K >= 1, not {self.data.shape}")

    @property
    def top5(self) -> tuple[int, ...]:
        """The ids of the best five, or of all where there are fewer, best first."""
        return tuple(np.argsort(-self.data, kind="stable")[:5].tolist())

    @property
    def top1(self) -> int:
        return int(self.data.argmax())

    @property
    def top5conf(self) -> NDArray[np.float32]:
        return self.data[list(self.top5)]

    @property
    def top1conf(self) -> float:
        return float(self.data[self.top1])

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Probs(classes={len(self)}, top1={self.top1}, top1conf={self.top1conf:.2f})"
