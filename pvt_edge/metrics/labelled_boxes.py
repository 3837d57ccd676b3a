"""COCO AP of boxes found in labelled pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pvt_edge.data.labelled_set import BoxSample, BoxSet
from pvt_edge.errors import DataError
from pvt_edge.metrics.average_precision import Row, coco_figures, coco_rows
from pvt_edge.metrics.confusion import confusion_of_boxes
from pvt_edge.metrics.curves import curves_of
from pvt_edge.metrics.labelled import Answer, Labelled, Scores, Settings, keep_present, match_classes
from pvt_edge.postprocessing import Detections, choose_thresholds

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import PostprocessSpec

AP_CONF = 0.01  # low: average precision sweeps the threshold itself
AP_SETTINGS = Settings(conf=AP_CONF, iou=0.5, max_det=100)  # where no bundle says otherwise
MOST_COUNTED = 100  # detections a class and picture that pycocotools looks at


def ap_settings(
    spec: "PostprocessSpec",
    labels: Sequence[str],
    conf: float | None = None,
    iou: float | None = None,
    max_det: int | None = None,
) -> Settings:
    """Those given, else the bundle's; but a score of 0.01, as average precision sweeps the threshold itself."""
    spec = spec.model_copy(update={"conf": AP_CONF})
    chosen = choose_thresholds(spec, labels, conf=conf, iou=iou, max_det=max_det)
    return Settings(chosen.conf, chosen.iou, chosen.max_det)


@dataclass(frozen=True, kw_only=True)
class LabelledBoxes(Labelled[BoxSample]):
    """Pictures with boxes; `category_of` has the category id of each class that is to be found, `labels` all names.

    Without `by_size` the figures of small, medium and large boxes are NaN, and scores take a quarter of the time.
    """

    dataset: BoxSet
    category_of: dict[int, int]
    labels: tuple[str, ...]
    by_size: bool = True

    def brief(self) -> "LabelledBoxes":
        return replace(self, by_size=False)

    def rate(self, sample: BoxSample, answer: Answer | None, image_hw: tuple[int, int]) -> "tuple[list[Row], bool]":
        """(detections as rows of COCO's results format, whether the picture has another size than was annotated)."""
        resized = sample.size_wh is not None and tuple(sample.size_wh) != image_hw[::-1]
        if answer is None:
            return [], resized
        boxes = answer["boxes"]
        categories = [self.category_of.get(i, -1) for i in range(len(self.labels))]
        return coco_rows(sample.image_id, Detections(boxes.xyxy, boxes.conf, boxes.cls), categories), resized

    def score(self, rated: Sequence[Any]) -> Scores:
        """COCOeval's twelve figures, with its default settings."""
        shown = self.samples[: len(rated)]
        found = [row for rows, _ in rated for row in rows]
        image_ids = [sample.image_id for sample in shown]
        coco = coco_figures(self.dataset, found, image_ids, by_size=self.by_size)
        counts = self.dataset.counts()
        known = [name for name in self.dataset.names if name in self.labels]
        classes = {name: {"boxes": float(counts[name]), **coco.classes[name]} for name in known}
        resized = [sample for sample, (_, other) in zip(shown, rated, strict=True) if other]
        judged = {self.category_of[self.labels.index(name)]: name for name in known}
        annotations = self.dataset.content["annotations"]
        return Scores(
            coco.figures,
            classes,
            _size_notes(resized),
            found,
            confusion_of_boxes(judged, annotations, found, image_ids, self.confusion_conf),
            curves_of({name: coco.ranked[name] for name in known}),
        )


def judge_boxes(
    dataset: BoxSet, labels: Sequence[str], settings: Settings, *, limit: int | None = None, skip: bool = False
) -> LabelledBoxes:
    """The pictures of a data set for a model of the classes `labels`.

    Raises:
        DataError: Where there is nothing to find, a class that the model does not know, or pictures are missing.
    """
    import pycocotools  # noqa: F401 - or its want would be seen after the last picture

    if not dataset.samples:
        raise DataError(f"{dataset.source} lists no pictures: a detector is judged by labelled ones")
    kept, left_out = keep_present(dataset, limit=limit, skip=skip)
    assert isinstance(kept, BoxSet)
    category_of, notes = match_classes(kept, labels)
    if settings.max_det > MOST_COUNTED:
        notes.append(f"AP counts {MOST_COUNTED} detections a class and picture, whatever --max-det says")
    all_count = len(kept.samples) == len(dataset.samples)
    return LabelledBoxes(
        samples=kept.samples,
        in_data=len(dataset.samples),
        notes=(*left_out, *dataset.notes, *notes),
        image_ids=() if all_count else tuple(sample.image_id for sample in kept.samples),
        settings=settings,
        classes=tuple(category_of),
        dataset=kept,
        category_of=category_of,
        labels=tuple(labels),
    )


def _size_notes(samples: list[BoxSample]) -> tuple[str, ...]:
    if not samples:
        return ()
    first = f"{samples[0].path.name}, told to be {'x'.join(map(str, samples[0].size_wh or ()))}"
    return (f"pictures of another size than the annotations say: {len(samples)} ({first}); their boxes cannot fit",)
