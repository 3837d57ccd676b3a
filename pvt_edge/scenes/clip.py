"""A moving picture: the stage slides under the lens."""

from collections.abc import Iterator

import numpy as np

from pvt_edge.scenes.camera import set_up_camera, take_picture
from pvt_edge.scenes.layout import lay_out
from pvt_edge.scenes.scene import USUAL_HEIGHT, Scene, check_size
from pvt_edge.scenes.smear import paint_smear, visible_boxes
from pvt_edge.scenes.stain import draw_stain

ROAM = 0.8  # the smear is larger than a frame by this share of the frame, each way
PERIODS = (410.0, 290.0)  # frames per swing across and along: 2 to 4 pixels a frame at 480x640
FOCUS_PERIOD = 170.0


def scene_clip(seed: int, frames: int, height: int = 480, width: int = 640) -> Iterator[Scene]:
    """`frames` scenes, one by one, of a camera that wanders over one smear; boxes and masks
    follow and are clipped.

    The path is smooth in fractions of a pixel and the focus breathes a little. Raises `ImageSizeError` below
    64x64.
    """
    check_size(height, width)
    return _frames(seed, frames, height, width)


def _frames(seed: int, frames: int, height: int, width: int) -> Iterator[Scene]:
    import cv2

    rng = np.random.default_rng(seed)
    scale = height / USUAL_HEIGHT
    frame_wh = np.array((width, height))
    room = ROAM * frame_wh
    smear_wh = np.ceil(frame_wh + room).astype(int)
    stain = draw_stain(rng)
    cells = lay_out(rng, int(smear_wh[1]), int(smear_wh[0]), scale, stain)
    smear = paint_smear(cells, stain, int(smear_wh[1]), int(smear_wh[0]), scale)
    camera = set_up_camera(rng, height, width, scale)
    phase = rng.uniform(0, 2 * np.pi, 3)
    for frame in range(frames):
        swing = np.sin(2 * np.pi * frame / np.array(PERIODS) + phase[:2])
        x, y = room * (0.5 + 0.49 * swing)
        matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
        # cubic, since linear would soften and sharpen the picture with every half pixel of the path
        view = cv2.warpAffine(smear.density, matrix, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        mask = cv2.warpAffine(smear.classes, matrix, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        blur = camera.blur + 0.35 * scale * (1 + np.sin(2 * np.pi * frame / FOCUS_PERIOD + phase[2]))
        boxes, labels = visible_boxes(smear.footprints, float(x), float(y), height, width)
        image = take_picture(rng, camera, np.asarray(view, np.float32), float(blur))
        yield Scene(image, boxes, labels, np.asarray(mask, np.uint8))
