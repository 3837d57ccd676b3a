"""COCO average precision, by pycocotools."""

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path

from pvt_edge.data.coco import CocoDataset
from pvt_edge.postprocessing import Detections


def average_precision(dataset: CocoDataset, found: Iterable[tuple[int, Detections]]) -> dict[str, float]:
    """COCO box AP of `found`, pairs of (image id, detections in original pixels), in the fractions 0..1.

    Keys: "AP" (IoU 0.50:0.95, 100 detections an image), "AP50", "AP75", and "AP <name>" of each category.
    Only images named in `found` count.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rows, image_ids = [], []
    for image_id, det in found:
        image_ids.append(image_id)
        for (x1, y1, x2, y2), conf, cls in zip(det.xyxy.tolist(), det.conf.tolist(), det.cls.tolist(), strict=True):
            category = dataset.category_ids[cls]
            row = {"image_id": image_id, "category_id": category, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": conf}
            rows.append(row)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = COCO(str(Path(dataset.annotations)))
        for row in truth.dataset["annotations"]:  # pycocotools cannot do without them, `read_coco` can
            row.setdefault("iscrowd", 0)
            row.setdefault("area", row["bbox"][2] * row["bbox"][3])
        evaluation = COCOeval(truth, truth.loadRes(rows) if rows else COCO(), "bbox")
        evaluation.params.imgIds = image_ids
        if rows:
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
    if not rows:
        return dict.fromkeys(["AP", "AP50", "AP75", *(f"AP {name}" for name in dataset.names)], 0.0)
    result = {"AP": evaluation.stats[0], "AP50": evaluation.stats[1], "AP75": evaluation.stats[2]}
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # (IoU, recall, category), all areas, 100 detections
    for i, name in enumerate(dataset.names):
        valid = precision[:, :, i][precision[:, :, i] > -1]
        result[f"AP {name}"] = valid.mean() if valid.size else float("nan")
    return {key: float(value) for key, value in result.items()}
