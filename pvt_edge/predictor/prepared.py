"""A frame as the model takes it: all of it, or one window after another."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvt_edge.pictures.resizing import Placement, apply, plan
from pvt_edge.predictor.slicing import Window
from pvt_edge.sources import Frame

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import ResizeSpec


@dataclass(frozen=True, eq=False)
class View:
    """A `window` xyxy of a picture as the model's `input` (H, W, 3) uint8, with how it lies in it."""

    window: Window
    placement: Placement
    input: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame, its picture (h, w, 3) BGR, and the model's input (H, W, 3) uint8 with how the picture lies in it.

    Of a picture that is run in slices `views` are those, and placement and input the first one's.
    """

    frame: Frame
    image: NDArray[np.uint8] = field(repr=False)
    placement: Placement
    input: NDArray[np.uint8] = field(repr=False)
    preprocess_ms: float
    views: tuple[View, ...] = ()

    @property
    def inputs(self) -> tuple[NDArray[np.uint8], ...]:
        """All that the model is run on."""
        return tuple(view.input for view in self.views) or (self.input,)

    @property
    def placements(self) -> tuple[Placement, ...]:
        """How the picture, or its part, lies in each."""
        return tuple(view.placement for view in self.views) or (self.placement,)


def view_of(image: NDArray[np.uint8], window: Window, input_hw: tuple[int, int], resize: "ResizeSpec") -> View:
    """A window xyxy of the picture, resized to the model's input."""
    x0, y0, x1, y1 = window
    placement = plan((y1 - y0, x1 - x0), input_hw, resize)
    return View(window, placement, apply(image[y0:y1, x0:x1], placement, resize))
