"""Scenes as files: a folder of pictures with COCO annotations."""

import json
from pathlib import Path

from pvt_edge.scenes.scene import LABELS, draw_scene

SEED_STEP = 1_000_000  # keeps the scenes of neighbouring seeds apart, so that seed 1 can test what seed 0 trained
QUALITY = 95


def write_scenes(folder: str | Path, count: int, seed: int = 0, height: int = 480, width: int = 640) -> Path:
    """The path of `instances.json`, after writing `count` scenes as `images/scene_00000.jpg` and so on.

    Scene i is `draw_scene(seed * 1_000_000 + i)`. The JSON is in COCO format, boxes as xywh, categories 1 to
    3 in the order of `LABELS`, file names relative to `images`.
    """
    import cv2

    images = Path(folder) / "images"
    images.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for index in range(count):
        scene = draw_scene(seed * SEED_STEP + index, height, width)
        name = f"scene_{index:05d}.jpg"
        _, packed = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        (images / name).write_bytes(packed.tobytes())
        entries.append({"id": index + 1, "file_name": name, "height": height, "width": width})
        for (x0, y0, x1, y1), label in zip(scene.boxes_xyxy.tolist(), scene.labels.tolist(), strict=True):
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
