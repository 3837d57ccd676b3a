"""COCO AP of a detector, through the predictor that users run."""

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from pvt_edge.evaluation.classes import box_counts
from pvt_edge.evaluation.pictures import prepared
from pvt_edge.evaluation.record import Judged, Row, Settings
from pvt_edge.mean_speed import MeanSpeed
from pvt_edge.metrics.average_precision import coco_figures, coco_rows
from pvt_edge.postprocessing import Detections

if TYPE_CHECKING:
    from pvt_edge.data.coco import CocoDataset, Sample
    from pvt_edge.predictor import Predictor


def evaluate_boxes(
    predictor: "Predictor",
    advance: Callable[[], None],
    *,
    dataset: "CocoDataset",
    category_of: dict[int, int],
    settings: Settings,
) -> Judged:
    """The detector's row on `dataset`, with its detections.

    `category_of` has the category id of each class that is to be found. `advance` is called after each picture.
    """
    thresholds = predictor.choose_thresholds(
        conf=settings.conf, iou=settings.iou, max_det=settings.max_det, classes=list(category_of)
    )
    categories = [category_of.get(i, -1) for i in range(len(predictor.names))]
    found, speed, resized = [], MeanSpeed(), []
    started = perf_counter()
    for group in prepared(predictor, dataset.samples, lambda sample: sample.path):
        results = predictor.complete([ready for _, ready in group], thresholds)
        for (sample, _), result in zip(group, results, strict=True):
            boxes = result.boxes
            assert boxes is not None
            found += coco_rows(sample.image_id, Detections(boxes.xyxy, boxes.conf, boxes.cls), categories)
            speed.add(result.speed)
            if _differs(sample, result.image.shape):
                resized.append(sample)
            advance()
    seconds = perf_counter() - started
    coco = coco_figures(dataset, found, [sample.image_id for sample in dataset.samples])
    counts = box_counts(dataset)
    known = [name for name in dataset.names if name in predictor.names]
    runtime = predictor.runtime
    row = Row(
        runtime.name,
        runtime.precision,
        runtime.device,
        coco.figures,
        {name: {"boxes": counts[name], **coco.classes[name]} for name in known},
        speed.means(),
        seconds,
        len(found),
    )
    return Judged(row, _size_notes(resized), found)


def _differs(sample: "Sample", shape: tuple[int, ...]) -> bool:
    return sample.size_wh is not None and tuple(sample.size_wh) != (shape[1], shape[0])


def _size_notes(samples: "list[Sample]") -> list[str]:
    if not samples:
        return []
    first = f"{samples[0].path.name}, told to be {'x'.join(map(str, samples[0].size_wh or ()))}"
    return [f"pictures of another size than the annotations say: {len(samples)} ({first}); their boxes cannot fit"]
