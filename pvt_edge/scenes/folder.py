"""Scenes as files: a folder of pictures with COCO annotations and class maps, a video of a moving stage."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.scenes.clip import scene_clip
from pvt_edge.scenes.scene import CLASSES, LABELS, draw_scene

SEED_STEP = 1_000_000  # keeps the scenes of neighbouring seeds apart, so that seed 1 can test what seed 0 trained
QUALITY = 95
PALETTE = ((0, 0, 0), (220, 70, 60), (70, 90, 220), (90, 190, 90))  # RGB of CLASSES, for those who look at a mask
CLIP_FPS = 25.0


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
    """Write the `frames` pictures of `scene_clip(seed, frames)` as an MP4 file of 25 pictures a second."""
    import cv2

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for scene in scene_clip(seed, frames):
        height, width = scene.image.shape[:2]
        if writer is None:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), CLIP_FPS, (width, height))
        writer.write(scene.image)
    if writer is not None:
        writer.release()
