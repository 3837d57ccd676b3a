"""Detection: candidates -> boxes with classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from pvt_edge.comparison.agreement import match_detections
from pvt_edge.comparison.difference import Arrays, Difference, Tally, paired
from pvt_edge.comparison.panels import AMBER, RED, SAME, Panels, box_panels
from pvt_edge.errors import BundleError, RuntimeInputError
from pvt_edge.pictures.resizing import to_original
from pvt_edge.postprocessing import select
from pvt_edge.results.fields import Boxes
from pvt_edge.tasks.task import Classes, Shown, Task, check_classes

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Manifest, PostprocessSpec
    from pvt_edge.data.labelled_set import BoxSet, LabelledSet
    from pvt_edge.metrics.labelled import Labelled, Settings
    from pvt_edge.pictures.resizing import Placement
    from pvt_edge.postprocessing import Thresholds


class Detect(Task):
    """Outputs: boxes (B, N, 4) xyxy in input pixels, scores (B, N), labels (B, N)."""

    name = "detect"
    outputs = ("boxes", "scores", "labels")
    figures = ("f1", "box_px", "score_drift")
    # measured as those of classifiers
    tolerances: ClassVar = {
        "fp32": (0.999, 1e-3, 1e-5),
        "fp16": (0.995, 0.1, 1e-3),
        "bf16": (0.99, 0.5, 6e-3),
        "int8": (0.98, 1.5, 1e-2),
        "approx": (0.95, 3.0, 3e-2),
    }
    agreement_words = "matched-box F1 with fp32"
    metric = ("map", "AP")
    has_thresholds = True
    picks_classes = True
    counts = "boxes"
    slices = True
    legend = (
        (SAME, "both sides have it", 1),
        (AMBER, "it moved (px) or changed its score (+ -) beyond the tolerance", 2),
        (RED, "only this side has it", 2),
    )

    def read(
        self,
        row: Mapping[str, NDArray[Any]],
        placement: "Placement",
        thresholds: "Thresholds",
        manifest: "Manifest | Classes",
    ) -> dict[str, Any]:
        found = select(
            to_original(row["boxes"], placement),
            row["scores"].astype(np.float32, copy=False),
            row["labels"],
            conf=thresholds.conf,
            iou=thresholds.iou,
            max_det=thresholds.max_det,
            classes=thresholds.classes,
        )
        check_classes(int(found.cls.max()) + 1 if len(found.cls) else 0, manifest.labels)
        return {"boxes": Boxes(*found)}

    def check(self, arrays: Arrays, names: Sequence[str]) -> None:
        boxes, scores, labels = (arrays[name].shape for name in self.outputs)
        if len(boxes) != 3 or boxes[2] != 4 or scores != boxes[:2] or labels != boxes[:2]:
            raise BundleError(
                f"gives boxes {boxes}, scores {scores} and labels {labels}, not (batch, n, 4), (batch, n) and "
                "(batch, n); export again"
            )
        scored = arrays["labels"][arrays["scores"] > 0]
        check_classes(int(scored.max(initial=-1)) + 1, names, int(scored.min(initial=0)))

    def check_shapes(self, found: Arrays, reference: Arrays) -> None:
        """Boxes are matched: each side may have as many as it likes."""

    def to_picture(self, arrays: Arrays, placement: "Placement") -> Arrays:
        return {**arrays, "boxes": to_original(arrays["boxes"][0], placement)[None]}

    def compare(self, found: Arrays, reference: Arrays, post: "PostprocessSpec") -> Difference:
        """The two sides' detections above `post.conf`, matched one to one; "box_px" is a pair's largest corner
        difference, "score_drift" the difference of its scores."""
        m = match_detections(found, reference, post)
        pairs = len(m.drifts)
        tallies = {
            "f1": Tally(m.matched_found + m.matched_reference, m.n_found + m.n_reference),
            "box_px": Tally(sum(px for _, px in m.drifts), pairs),
            "score_drift": Tally(sum(score for score, _ in m.drifts), pairs),
        }
        return Difference(tallies, matches=m)

    def agreement(
        self, found: Sequence[Arrays], reference: Sequence[Arrays], post: "PostprocessSpec | None"
    ) -> dict[str, float]:
        """Do both sides detect the same, by `match_detections` in input pixels?

        "precision": the share 0..1 of the found that are matched, "recall": of the reference's, "f1" and "agreement":
        of both together, (matched_found + matched_reference) / (n_found + n_reference), each summed over all pictures
        and 1.0 where there is nothing to match. "score_drift": mean |score difference| of the pairs, "box_drift_px":
        mean of their largest corner difference in pixels, both 0.0 without pairs.
        """
        if post is None:
            raise RuntimeInputError("detections are compared above a threshold: give the bundle's postprocess")
        pictures = [match_detections(got, want, post) for got, want in paired(found, reference)]
        matched_found, n_found = sum(p.matched_found for p in pictures), sum(p.n_found for p in pictures)
        matched_reference = sum(p.matched_reference for p in pictures)
        n_reference = sum(p.n_reference for p in pictures)
        drifts = [drift for p in pictures for drift in p.drifts]
        score_drift, box_drift_px = np.mean(drifts, axis=0).tolist() if drifts else (0.0, 0.0)
        f1 = _share(matched_found + matched_reference, n_found + n_reference)
        return {
            "agreement": f1,
            "f1": f1,
            "precision": _share(matched_found, n_found),
            "recall": _share(matched_reference, n_reference),
            "score_drift": score_drift,
            "box_drift_px": box_drift_px,
        }

    def judged_at(
        self,
        spec: "PostprocessSpec | None",
        labels: Sequence[str],
        *,
        conf: float | None = None,
        iou: float | None = None,
        max_det: int | None = None,
    ) -> "Settings | None":
        from pvt_edge.metrics.labelled_boxes import ap_settings

        return ap_settings(spec, labels, conf, iou, max_det) if spec is not None else None

    def read_labels(
        self, data: Path, images: Path | None = None, *, part: str = "val", labels: Sequence[str] | None = None
    ) -> "tuple[LabelledSet[Any], bool]":
        """COCO, YOLO or Pascal VOC; the data's own classes, whatever `labels` say."""
        from pvt_edge.data.layouts import read_boxes

        return read_boxes(data, images, part)

    def judge(
        self,
        dataset: "LabelledSet[Any]",
        labels: Sequence[str],
        settings: "Settings | None",
        *,
        limit: int | None = None,
        skip: bool = False,
    ) -> "Labelled[Any]":
        """By COCO's average precision; classes are matched by name."""
        from pvt_edge.metrics.labelled_boxes import AP_SETTINGS, judge_boxes

        return judge_boxes(cast("BoxSet", dataset), labels, settings or AP_SETTINGS, limit=limit, skip=skip)

    def panels(self, shown: Shown) -> Panels:
        matches = shown.difference.matches
        assert matches is not None
        return box_panels(shown.image, matches, shown.scale_xy, shown.limits, shown.manifest.labels)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
