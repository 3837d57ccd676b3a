"""Semantic segmentation: a class map."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from pvt_edge.class_map import as_class_map, map_of_logits, only, void_of
from pvt_edge.comparison.agreement import MaskAgreement, is_finite
from pvt_edge.comparison.difference import Arrays, Difference, Figure, Tally, paired
from pvt_edge.comparison.panels import Panels, mask_panels
from pvt_edge.errors import BundleError
from pvt_edge.pictures.resizing import mask_to_original
from pvt_edge.tasks.task import Classes, Shown, Task, check_classes

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Manifest, PostprocessSpec
    from pvt_edge.data.labelled_set import LabelledSet, MaskSet
    from pvt_edge.metrics.labelled import Labelled, Settings
    from pvt_edge.pictures.resizing import Placement
    from pvt_edge.postprocessing import Thresholds

LEAST_PIXELS = 100  # of a class in one picture: of fewer the borders alone decide


class Segment(Task):
    """Output: mask (B, H, W), the ids of classes in pixels of the input. A `logits` (B, K, H/4, W/4) may be beside it.

    Of a model of one class the mask is 0 or 1, and model.json names both.
    """

    name = "segment"
    outputs = ("mask",)
    figures = ("pixels", "inside", "boundary", "iou")
    own_figures: ClassVar = {
        "pixels": Figure("equal pixels", "pixels", "min_pixels", least=True, empty=1.0),
        "inside": Figure("equal inside", "inside", "min_inside", least=True, empty=1.0),
        "boundary": Figure("equal at borders", "border", "min_boundary", least=True, empty=1.0),
        "iou": Figure("mean IoU", "IoU", "min_iou", least=True, empty=1.0),
    }
    tolerances: ClassVar = {
        "fp32": (0.9999, 0.9999, 0.9995, 0.999),
        "fp16": (0.998, 0.9995, 0.98, 0.98),
        "bf16": (0.99, 0.997, 0.93, 0.93),
        "int8": (0.98, 0.99, 0.85, 0.87),
        "approx": (0.96, 0.98, 0.75, 0.8),
    }
    agreement_words = "mean IoU with fp32"
    metric = ("miou", "mean IoU")
    label_options = ("reduce_zero_label",)
    picks_classes = True
    counts = "areas"
    legend = "white: another class"

    def read(
        self,
        row: Mapping[str, NDArray[Any]],
        placement: "Placement",
        thresholds: "Thresholds",
        manifest: "Manifest | Classes",
    ) -> dict[str, Any]:
        names, post = manifest.labels, manifest.postprocess
        # of one class the mask was made with the graph's threshold, which the logits alone do not tell
        if "logits" in row and (len(row["logits"]) > 1 or post is not None):
            check_classes(max(len(row["logits"]), 2), names)
            threshold = 0.0 if post is None else post.threshold
            found = map_of_logits(row["logits"], placement, threshold)
        else:
            check_classes(int(row["mask"].max()) + 1, names, int(row["mask"].min()))
            ids = as_class_map(row["mask"], len(names))
            found = mask_to_original(ids, placement, void_of(ids.dtype))
        return {"mask": found if thresholds.classes is None else only(found, thresholds.classes)}

    def num_classes(self, manifest: "Manifest") -> int | None:
        """1 where it stands against all else, which model.json names as a class of its own."""
        return super().num_classes(manifest) if manifest.postprocess is None else 1

    def check(self, arrays: Arrays, names: Sequence[str]) -> None:
        mask = arrays["mask"]
        if mask.ndim != 3 or not mask.size or not np.issubdtype(mask.dtype, np.integer):
            raise BundleError(f"gives a mask {mask.shape} {mask.dtype}, not (batch, height, width) of class ids")
        check_classes(int(mask.max()) + 1, names, int(mask.min()))

    def check_shapes(self, found: Arrays, reference: Arrays) -> None:
        """Both are of the same size, once they lie in the same pixels."""

    def to_picture(self, arrays: Arrays, placement: "Placement") -> Arrays:
        return {**arrays, "mask": mask_to_original(_ids(arrays), placement, -1)[None]}

    def compare(self, found: Arrays, reference: Arrays, post: "PostprocessSpec") -> Difference:
        """Shares of "pixels" with the same class, of those "inside" regions and at the "boundary" apart, and "iou", the
        mean over the classes of 100 pixels and more."""
        agreement = MaskAgreement().add(_ids(found), _ids(reference))
        shares = {
            name: Tally(equal / count, 1) if count else Tally(0, 0)
            for name, (equal, count) in agreement.shares().items()
        }
        ious = agreement.ious(LEAST_PIXELS)
        areas = {i: Tally(agreement.both[i], pixels) for i, pixels in agreement.either.items() if pixels}
        return Difference({**shares, "iou": Tally(sum(ious.values()), len(ious))}, areas=areas)

    def agreement(
        self, found: Sequence[Arrays], reference: Sequence[Arrays], post: "PostprocessSpec | None"
    ) -> dict[str, float]:
        """Do both sides give the same masks, the reference's taken as the truth?

        "agreement" and "iou": the mean of the IoU, over all pictures together, of each class that either side has.
        "pixels": the share 0..1 of pixels with the same class; "boundary" and "inside": of those within 2 pixels of a
        border between two classes of the reference, and of the others.
        """
        total = MaskAgreement()
        for got, want in paired(found, reference):
            usable = is_finite(*got.values(), *want.values())
            total.add(_ids(got) if usable else np.full_like(_ids(want), -1), _ids(want))
        return total.figures()

    def read_labels(
        self,
        data: Path,
        images: Path | None = None,
        *,
        part: str = "val",
        labels: Sequence[str] | None = None,
        reduce_zero_label: bool = False,
    ) -> "tuple[LabelledSet[Any], bool]":
        """Pictures and index masks, or a COCO file with polygons; the data's own classes, else `labels`.

        `reduce_zero_label` says that 0 in a mask is no label and classes begin at 1, as of ADE20K.
        """
        from pvt_edge.data.layouts import read_masks

        return read_masks(data, images, part, labels, reduce_zero_label=reduce_zero_label)

    def judge(
        self,
        dataset: "LabelledSet[Any]",
        labels: Sequence[str],
        settings: "Settings | None",
        *,
        limit: int | None = None,
        skip: bool = False,
    ) -> "Labelled[Any]":
        """By mean IoU; classes are matched by name where both have names."""
        from pvt_edge.metrics.labelled_masks import judge_masks

        return judge_masks(cast("MaskSet", dataset), labels, limit=limit, skip=skip)

    def panels(self, shown: Shown) -> Panels:
        return mask_panels(shown.image, _ids(shown.found), _ids(shown.reference), shown.manifest.labels)


def _ids(arrays: Arrays) -> NDArray[np.int32]:
    """The first mask (H, W), of whatever whole numbers it was given in."""
    return arrays["mask"][0].astype(np.int32, copy=False)
