"""A camera that is not there: drawn cells drifting under a lens, at any size and rate."""

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvt_edge.options.stream import SourceOptions
from pvt_edge.sources.source import Frame, LiveSource

if TYPE_CHECKING:
    from collections.abc import Callable

ROAM = 0.5  # the drawn field is larger than the frame by this share, each way
PERIODS = (410.0, 290.0)  # frames a swing across and along takes


class SyntheticCells(LiveSource):
    """`frames` pictures (None: without end) of the field of cells that `seed` draws, as a live camera gives them."""

    def __init__(self, options: SourceOptions, *, seed: int = 0, frames: int | None = None) -> None:
        super().__init__("synthetic://cells", options)
        self.wh = (options.width or 640, options.height or 480)
        self.fps: float = options.fps or 30.0
        self.seed, self.frames = seed, frames
        self._field: NDArray[np.uint8] | None = None
        self._count = 0
        self._due = 0.0

    def connect(self) -> None:
        from pvt_edge.scenes.scene import MIN_SIZE, draw_scene

        if self._field is None:
            width, height = (max(round(side * (1 + ROAM)), MIN_SIZE) for side in self.wh)
            self._field = draw_scene(self.seed, height, width).image
        self.connected, self._due = True, time.perf_counter()

    def read(self) -> Frame | None:
        if self._field is None or self._count == self.frames:
            self.ended = self._field is not None
            return None
        wait = self._due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        else:  # a camera does not catch up what nobody fetched
            self._due -= wait
        self._due += 1 / self.fps
        (width, height), count = self.wh, self._count
        swing = 0.5 + 0.5 * np.sin(2 * np.pi * count / np.array(PERIODS))
        top = int(swing[1] * (self._field.shape[0] - height))
        left = int(swing[0] * (self._field.shape[1] - width))
        self._count += 1
        return Frame(self._field[top : top + height, left : left + width].copy(), count)

    def disconnect(self) -> None:
        self.connected = False


SCENES: "dict[str, Callable[..., LiveSource]]" = {"cells": SyntheticCells}
