"""Small objects in large pictures: one pass against tiles, what it gains in AP and costs in time.

    .venv/bin/python benchmarks/studies/sliced.py out/b0-detect --json benchmarks/results/sliced.json

Pictures of 1440x1920 pixels, in each of which three generated scenes of the bundled detector's own size, 480x640, lie
somewhere, cells at the size it was trained on, the rest an empty field. The scenes lie across the tiles' borders by
chance, so that these cut cells. `val` judges them all: one pass, the tiles alone, with the whole frame, and the tiles
merged by NMS alone, which shows what is gained by asking who sees all of an object.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from recording import write_record

from pvt_edge.evaluation import evaluate
from pvt_edge.postprocessing import Thresholds, select
from pvt_edge.predictor import predictor
from pvt_edge.predictor.slicing import Window, merge
from pvt_edge.results.fields import Boxes
from pvt_edge.scenes import LABELS, draw_scene

HEIGHT, WIDTH = 1440, 1920
SCENE_HW = (480, 640)
SCENES = 3  # of four quarters: fewer than the hundred boxes of a class that COCO's AP counts
FIELD = 225  # grey of an empty field
SEED = 77_000_000


def main(
    bundle: Path,
    pictures: Annotated[int, typer.Option(help="How many large pictures.")] = 12,
    precision: Annotated[str, typer.Option(help="Of the bundle's files for OpenVINO.")] = "fp32",
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to record the result.")] = None,
) -> None:
    """Judge and time every way on the same pictures."""
    ways: dict[str, dict[str, Any]] = {
        "one pass": {},
        "tiles, NMS alone": {"slice": SCENE_HW},
        "tiles": {"slice": SCENE_HW},
        "tiles and whole frame": {"slice": SCENE_HW, "whole_frame": True},
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = write_pictures(Path(folder), pictures)
        for name, options in ways.items():
            predictor.merge = nms_alone if "NMS" in name else merge  # type: ignore[attr-defined]
            row = evaluate(bundle, data, runtime="openvino", precision=precision, **options).rows[0]
            figures = {key: round(row.figures[key], 4) for key in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")}
            best = row.curves.best if row.curves else None
            found[name] = {
                **figures,
                "best F1": round(best.f1, 4) if best else None,
                "ms a picture": round(sum(row.speed_ms.values()), 1),
                "classes AP": {label: round(each["AP"], 4) for label, each in row.classes.items()},
            }
            print(name, found[name], flush=True)
    command = f"python benchmarks/studies/sliced.py BUNDLE --pictures {pictures} --precision {precision}"
    write_record(json_path, command, {"bundle": bundle.name, "pictures": pictures, "ways": found})


def write_pictures(folder: Path, count: int) -> Path:
    """The path of `instances.json`, in COCO's format, whose pictures are in images/ beside it."""
    (folder / "images").mkdir()
    images, annotations = [], []
    for number in range(count):
        rng = np.random.default_rng(SEED + number)
        picture = rng.normal(FIELD, 3, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
        for quarter in rng.permutation(4)[:SCENES].tolist():
            scene = draw_scene(SEED + 10 * number + quarter, *SCENE_HW)
            free = np.array((HEIGHT // 2 - SCENE_HW[0], WIDTH // 2 - SCENE_HW[1]))
            corner = np.array((HEIGHT // 2 * (quarter // 2), WIDTH // 2 * (quarter % 2)))
            top, left = (corner + rng.integers(0, free + 1)).tolist()
            picture[top : top + SCENE_HW[0], left : left + SCENE_HW[1]] = scene.image
            for (x0, y0, x1, y1), label in zip(scene.boxes_xyxy.tolist(), scene.labels.tolist(), strict=True):
                bbox = [x0 + left, y0 + top, x1 - x0, y1 - y0]
                row = {"id": len(annotations) + 1, "image_id": number + 1, "category_id": label + 1, "bbox": bbox}
                annotations.append(row | {"area": bbox[2] * bbox[3], "iscrowd": 0})
        name = f"field_{number:02d}.png"
        cv2.imwrite(str(folder / "images" / name), picture)
        images.append({"id": number + 1, "file_name": name, "height": HEIGHT, "width": WIDTH})
    categories = [{"id": i + 1, "name": label} for i, label in enumerate(LABELS)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def nms_alone(windows: Sequence[Window], found: Sequence[Boxes], thresholds: Thresholds) -> Boxes:
    """What `merge` would be if it took no notice of borders."""
    moved = [boxes.xyxy + np.float32(window[:2] * 2) for window, boxes in zip(windows, found, strict=True)]
    conf, classes = (np.concatenate([getattr(boxes, key) for boxes in found]) for key in ("conf", "cls"))
    limits: dict[str, Any] = {"conf": thresholds.conf, "iou": thresholds.iou, "max_det": thresholds.max_det}
    return Boxes(*select(np.concatenate(moved), conf, classes, **limits))


if __name__ == "__main__":
    typer.run(main)
