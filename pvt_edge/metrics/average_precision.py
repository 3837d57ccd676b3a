"""COCO average precision, by pycocotools."""

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.data.coco_file import Content
from pvt_edge.data.labelled_set import BoxSet
from pvt_edge.metrics.curves import Ranked
from pvt_edge.postprocessing import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pycocotools.cocoeval import COCOeval

# pycocotools' `stats`, in its order: AP over IoU 0.50:0.95; s, m and l are boxes below 32 x 32, below 96 x 96 and
# above; AR1, AR10 and AR100 the recall with so many detections a picture
FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
CLASS_FIGURES = ("AP", "AP50", "AP75", "AR100")

Row = dict[str, Any]


@dataclass(frozen=True)
class CocoFigures:
    """What COCOeval says, as fractions 0..1, NaN where there is no box to find (pycocotools says -1).

    `figures` by the names in `FIGURES`; `classes` by the category's name, those of `CLASS_FIGURES` each; `ranked` what
    was found of each, right from an IoU of 0.5 on.
    """

    figures: dict[str, float]
    classes: dict[str, dict[str, float]]
    ranked: dict[str, Ranked]


def coco_rows(image_id: int, found: Detections, category_ids: Sequence[int]) -> list[Row]:
    """Detections of an image as rows of COCO's results format; `category_ids[i]` is the category of class i."""
    boxes = zip(found.xyxy.tolist(), found.conf.tolist(), found.cls.tolist(), strict=True)
    return [
        {"image_id": image_id, "category_id": category_ids[cls], "bbox": [x1, y1, x2 - x1, y2 - y1], "score": conf}
        for (x1, y1, x2, y2), conf, cls in boxes
    ]


def coco_figures(dataset: BoxSet, rows: list[Row], image_ids: Sequence[int], *, by_size: bool = True) -> CocoFigures:
    """COCOeval's figures of `rows` on the images named, with its default settings.

    Without `by_size` those of small, medium and large boxes are NaN, and it takes a quarter of the time.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = COCO()
        truth.dataset = _whole(dataset.content)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes([dict(row) for row in rows]) if rows else COCO(), "bbox")
        evaluation.params.imgIds = list(image_ids)
        if not by_size:
            evaluation.params.areaRng = evaluation.params.areaRng[:1]  # the first is all of them
            evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = {name: _figure(value) for name, value in zip(FIGURES, evaluation.stats, strict=True)}
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    classes = {}
    for i, name in enumerate(dataset.names):  # over all areas, with 100 detections
        at = precision[:, :, i, 0, -1]  # (IoU 0.50:0.95, recall)
        sides = (at, at[0], at[5], recall[:, i, 0, -1])
        classes[name] = {key: _mean(values) for key, values in zip(CLASS_FIGURES, sides, strict=True)}
    return CocoFigures(figures, classes, dict(zip(dataset.names, _ranked(evaluation), strict=True)))


def _ranked(evaluation: "COCOeval") -> Iterator[Ranked]:
    """Of each category what COCOeval matched at an IoU of 0.5 and of any area; what lay in a crowd counts nowhere."""
    of_area = len(evaluation.params.imgIds)
    of_category = of_area * len(evaluation.params.areaRng)
    for start in range(0, len(evaluation.evalImgs), of_category):
        images = [image for image in evaluation.evalImgs[start : start + of_area] if image is not None]
        scores = np.concatenate([np.zeros(0), *(image["dtScores"] for image in images)])
        matches = np.concatenate([np.zeros(0), *(image["dtMatches"][0] for image in images)])
        ignored = np.concatenate([np.zeros(0), *(image["dtIgnore"][0] for image in images)]).astype(bool)
        positives = sum(int((np.asarray(image["gtIgnore"]) == 0).sum()) for image in images)
        yield Ranked(scores[~ignored], matches[~ignored] > 0, positives)


def _whole(content: Content) -> dict[str, Any]:
    """The content with what pycocotools cannot do without and `read_coco` can, in rows that it may write to.

    Boxes are numbered afresh from 1: it takes the id 0 for no match, and of two with the same id it forgets one.
    """
    annotations = [
        {"iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3]} | row | {"id": number}
        for number, row in enumerate(content["annotations"], 1)
    ]
    return content | {"annotations": annotations, "info": {}}


def _figure(value: float) -> float:
    return math.nan if value == -1 else float(value)


def _mean(values: "NDArray[np.float64]") -> float:
    """Of what is not -1, as pycocotools has it."""
    known = values[values > -1]
    return float(known.mean()) if known.size else math.nan
