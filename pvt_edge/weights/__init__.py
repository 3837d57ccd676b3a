"""Weights that come with the package, by name."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BundledWeights:
    """A weight file in the package and what it is for.

    `imgsz` is the (height, width) it was trained at; `iou` the NMS overlap that suits how a detector's objects overlap.
    """

    name: str
    file: str
    variant: str
    task: str
    head: str
    labels: tuple[str, ...]
    imgsz: tuple[int, int]
    iou: float = 0.5

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return Path(__file__).with_name(self.file)


BUNDLED: dict[str, BundledWeights] = {
    "cells": BundledWeights(
        "cells", "cells-b0.safetensors", "b0", "detect", "lite", ("RBC", "WBC", "Platelets"), imgsz=(480, 640), iou=0.6
    ),
    "cells-seg": BundledWeights(
        "cells-seg",
        "cells-seg-b0.safetensors",
        "b0",
        "segment",
        "lite",
        ("background", "RBC", "WBC", "Platelets"),
        imgsz=(480, 640),
    ),
}

NO_WEIGHTS = "none"  # fresh ones


def get_bundled(name: str | None) -> BundledWeights | None:
    """The bundled weights called `name`, or None when `name` is something else (a path)."""
    return BUNDLED.get(name or "")
