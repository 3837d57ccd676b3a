"""Run a bundle's detector where pvt-edge is not installed: ONNX Runtime, Pillow and NumPy are enough.

    pip install onnxruntime pillow numpy
    python 10_onnxruntime_alone.py picture.jpg out/cells

The graph takes raw bytes, BGR; colour order and normalisation are inside. What is left is to fit the picture in and to
drop boxes that overlap, by the numbers in model.json (docs/bundle.md has OpenVINO, OpenCV and C++ too).
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

picture, bundle = Image.open(sys.argv[1]).convert("RGB"), Path(sys.argv[2])
about = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
height, width, limits = about["input"]["height"], about["input"]["width"], about["postprocess"]

# letterbox: the picture as large as fits, top left, and the fill colour right of it and below
factor = min(width / picture.width, height / picture.height)
sides = (int(picture.width * factor + 0.5), int(picture.height * factor + 0.5))
images = np.full((1, height, width, 3), about["resize"]["fill_bgr"], np.uint8)
images[0, : sides[1], : sides[0]] = np.asarray(picture.resize(sides, Image.Resampling.BILINEAR))[:, :, ::-1]

session = onnxruntime.InferenceSession(bundle / "model.fp32.onnx")
boxes, scores, labels = (output[0] for output in session.run(["boxes", "scores", "labels"], {"images": images}))

# back to the picture's own pixels, best first
scale = np.array([sides[0] / picture.width, sides[1] / picture.height] * 2)
boxes = np.clip(boxes / scale, 0, [picture.width, picture.height] * 2)
order = np.argsort(-scores, kind="stable")
order = order[scores[order] > limits["conf"]]


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with others (N, 4): (N,)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.clip(sides, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return shared / np.maximum(np.prod(box[2:] - box[:2]) + areas - shared, 1e-9)


kept: list[int] = []
for index in order:
    same = [other for other in kept if labels[other] == labels[index]]
    if not (overlaps(boxes[index], boxes[same]) > limits["iou"]).any():
        kept.append(index)
for index in kept[: limits["max_det"]]:
    place = ", ".join(f"{side:.1f}" for side in boxes[index])
    print(f"{about['labels'][labels[index]]} {scores[index]:.3f} [{place}]")
