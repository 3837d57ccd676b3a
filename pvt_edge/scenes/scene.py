"""One drawn picture with its boxes and its class map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import ImageSizeError
from pvt_edge.scenes.camera import set_up_camera, take_picture
from pvt_edge.scenes.layout import lay_out
from pvt_edge.scenes.smear import paint_smear, visible_boxes
from pvt_edge.scenes.stain import draw_stain

LABELS = ("RBC", "WBC", "Platelets")
CLASSES = ("background", *LABELS)  # of the class map
MIN_SIZE = 64
USUAL_HEIGHT = 480  # the height at which cells have their natural pixel size


@dataclass(frozen=True)
class Scene:
    """A picture and all that is known of it.

    `image` (H, W, 3) uint8 BGR, `boxes_xyxy` (n, 4) float32 pixels, `labels` (n,) int64 into `LABELS`, `mask` (H, W)
    uint8 into `CLASSES`: what is uppermost at each pixel of the smear, before the lens blurs it. A cell that shows too
    little of itself for a box is in the mask all the same.
    """

    image: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    mask: NDArray[np.uint8]


def draw_scene(seed: int, height: int = 480, width: int = 640) -> Scene:
    """The scene of this seed; cells are sized in proportion to the height.

    Boxes are tight around what is seen of a cell. A cell of which less than 15 % or 8 pixels are seen has
    none, and one smaller than 8 pixels is not drawn. Raises `ImageSizeError` below 64x64.
    """
    check_size(height, width)
    rng = np.random.default_rng(seed)
    scale = height / USUAL_HEIGHT
    stain = draw_stain(rng)
    cells = lay_out(rng, height, width, scale, stain)
    smear = paint_smear(cells, stain, height, width, scale)
    boxes, labels = visible_boxes(smear.footprints, 0.0, 0.0, height, width)
    camera = set_up_camera(rng, height, width, scale)
    return Scene(take_picture(rng, camera, smear.density), boxes, labels, smear.classes)


def check_size(height: int, width: int) -> None:
    """`ImageSizeError` when no scene of this size can be drawn."""
    if min(height, width) < MIN_SIZE:
        raise ImageSizeError(f"cannot draw a scene of {height}x{width}: both sides must be {MIN_SIZE} pixels or more")
