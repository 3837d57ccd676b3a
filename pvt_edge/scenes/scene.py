"""One drawn picture with its boxes and its class map, a moving one, and both as files."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, ImageSizeError
from pvt_edge.scenes.camera import set_up_camera, take_picture
from pvt_edge.scenes.layout import lay_out
from pvt_edge.scenes.shapes import draw_stain
from pvt_edge.scenes.smear import paint_smear, visible_boxes

LABELS = ("RBC", "WBC", "Platelets")
CLASSES = ("background", *LABELS)  # of the class map
MIN_SIZE = 64
USUAL_HEIGHT = 480  # the height at which cells have their natural pixel size
ROAM = 0.8  # the smear is larger than a frame by this share of the frame, each way
PERIODS = (410.0, 290.0)  # frames per swing across and along: 2 to 4 pixels a frame at 480x640
FOCUS_PERIOD = 170.0
SEED_STEP = 1_000_000  # keeps the scenes of neighbouring seeds apart, so that seed 1 can test what seed 0 trained
QUALITY = 95
PALETTE = ((0, 0, 0), (220, 70, 60), (70, 90, 220), (90, 190, 90))  # RGB of CLASSES, for those who look at a mask
CLIP_FPS = 25.0


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


def scene_clip(seed: int, frames: int, height: int = 480, width: int = 640) -> Iterator[Scene]:
    """`frames` scenes, one by one, of a camera that wanders over one smear; boxes and masks follow and are clipped.

    The path is smooth in fractions of a pixel and the focus breathes a little. Raises `ImageSizeError` below 64x64.
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


def write_scenes(folder: str | Path, count: int, seed: int = 0, height: int = 480, width: int = 640) -> Path:
    """The path of `instances.json`, after writing `count` scenes as `images/scene_00000.jpg` and so on.

    Each has its class map in `masks/scene_00000.png`, a palette PNG whose indices count the lines of `classes.txt`.
    Scene i is `draw_scene(seed * 1_000_000 + i)`. The JSON is in COCO format, boxes as xywh, categories 1 to
    3 in the order of `LABELS`, file names relative to `images`.
    """
    import cv2

    images, masks = Path(folder) / "images", Path(folder) / "masks"
    for place in (images, masks):
        place.mkdir(parents=True, exist_ok=True)
    (Path(folder) / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    entries: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []

    def write(index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(boxes, labels) of a scene whose files are written."""
        scene = draw_scene(seed * SEED_STEP + index, height, width)
        _, packed = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        (images / f"scene_{index:05d}.jpg").write_bytes(packed.tobytes())
        _write_mask(masks / f"scene_{index:05d}.png", scene.mask)
        return scene.boxes_xyxy, scene.labels

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # what a scene takes is mostly arithmetic, which threads share
        drawn = list(pool.map(write, range(count)))
    for index, (boxes, labels) in enumerate(drawn):
        entries.append({"id": index + 1, "file_name": f"scene_{index:05d}.jpg", "height": height, "width": width})
        for (x0, y0, x1, y1), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": label + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(LABELS)]
    path = Path(folder) / "instances.json"
    path.write_text(json.dumps({"images": entries, "annotations": annotations, "categories": categories}))
    return path


def _write_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    from PIL import Image

    picture = Image.fromarray(mask)
    picture.putpalette([value for colour in PALETTE for value in colour])
    picture.save(path)


def write_clip(path: str | Path, frames: int, seed: int = 0) -> None:
    """Write the `frames` pictures of `scene_clip(seed, frames)` as an MP4 file of 25 pictures a second.

    Raises `DataError` for a file that OpenCV does not write.
    """
    import cv2

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for scene in scene_clip(seed, frames):
        height, width = scene.image.shape[:2]
        if writer is None:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), CLIP_FPS, (width, height))
            if not writer.isOpened():
                raise DataError(
                    f"cannot write the clip {path}: give a name that ends in .mp4, in a folder that can be written"
                )
        writer.write(scene.image)
    if writer is not None:
        writer.release()
