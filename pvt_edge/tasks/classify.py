"""Classification: logits -> shares of classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from pvt_edge.comparison.agreement import is_finite, logit_cosine, mean_and_worst
from pvt_edge.comparison.difference import Arrays, Difference, Tally, paired
from pvt_edge.comparison.panels import Panels, class_panels
from pvt_edge.errors import BundleError
from pvt_edge.postprocessing import against_rest, class_shares, softmax
from pvt_edge.results.fields import Probs
from pvt_edge.tasks.task import Classes, Shown, Task, check_classes

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Manifest, PostprocessSpec
    from pvt_edge.data.labelled_set import ClassSet, LabelledSet
    from pvt_edge.metrics.labelled import Labelled, Settings
    from pvt_edge.pictures.resizing import Placement
    from pvt_edge.postprocessing import Thresholds

TIE = 0.01  # of the share: between classes so near to each other, rounding decides which is the best


class Classify(Task):
    """Outputs: logits (B, K)."""

    name = "classify"
    outputs = ("logits",)
    figures = ("top1", "cosine", "score_drift")
    # Measured on B0 with real and drawn pictures, sound artifacts and planted faults (docs/verify.md): two float32
    # runtimes use up a twentieth of the first row at most, bf16 and int8 a little more than half of theirs.
    tolerances: ClassVar = {
        "fp32": (0.999, 0.999999, 1e-5),
        "fp16": (0.99, 0.99999, 2e-3),
        "bf16": (0.98, 0.9998, 1e-2),
        "int8": (0.95, 0.998, 3e-2),
        "approx": (0.9, 0.98, 6e-2),
    }
    agreement_words = "top-1 agreement with fp32"
    metric = ("top1", "top-1")
    counts = "pictures"
    legend = "a red frame: another best class"

    def read(
        self,
        row: Mapping[str, NDArray[Any]],
        placement: "Placement",
        thresholds: "Thresholds",
        manifest: "Manifest | Classes",
    ) -> dict[str, Any]:
        check_classes(len(row["logits"]), manifest.labels)
        return {"probs": Probs(class_shares(row["logits"], manifest.activation))}

    def check(self, arrays: Arrays, names: Sequence[str]) -> None:
        if arrays["logits"].ndim != 2:
            raise BundleError(f"gives logits {arrays['logits'].shape}, not (batch, classes); export again")
        check_classes(arrays["logits"].shape[1], names)

    def compare(self, found: Arrays, reference: Arrays, post: "PostprocessSpec") -> Difference:
        """Whether both have the same best class, and by how much they differ.

        "top1" counts a class that the reference gives all but the same share as its best, "cosine" is that of the
        logits, "score_drift" the difference in the share of the reference's best class.
        """
        alike = logit_cosine(found["logits"][0], reference["logits"][0])
        got, want = against_rest(found["logits"][0]), against_rest(reference["logits"][0])
        shares, best = softmax(want), int(want.argmax())
        drift = abs(float(softmax(got)[best]) - float(shares[best]))
        same = float(shares[best] - shares[int(got.argmax())]) <= TIE
        return Difference({"top1": Tally(same, 1), "cosine": Tally(alike, 1), "score_drift": Tally(drift, 1)})

    def agreement(
        self, found: Sequence[Arrays], reference: Sequence[Arrays], post: "PostprocessSpec | None"
    ) -> dict[str, float]:
        """How often both have the same best class.

        "agreement" and "top1_agreement": the share 0..1 of pictures with the same best class, the first of equals as a
        predictor has it; of one class alone, the same side of a half. "cosine" and "worst_cosine" of the logits, -1..1:
        mean and least over the pictures.
        """
        pairs = [(got["logits"][0], want["logits"][0]) for got, want in paired(found, reference)]
        same = [
            is_finite(got, want) and against_rest(got).argmax() == against_rest(want).argmax() for got, want in pairs
        ]
        share = float(np.mean(same))
        cosines = [logit_cosine(got, want) for got, want in pairs]
        return {"agreement": share, "top1_agreement": share, **mean_and_worst(cosines)}

    def read_labels(
        self, data: Path, images: Path | None = None, *, part: str = "val", labels: Sequence[str] | None = None
    ) -> "tuple[LabelledSet[Any], bool]":
        """A folder a class, or a text or CSV file with a path and a label a line."""
        from pvt_edge.data.layouts import read_classes

        return read_classes(data, images, part, labels)

    def judge(
        self,
        dataset: "LabelledSet[Any]",
        labels: Sequence[str],
        settings: "Settings | None",
        *,
        limit: int | None = None,
        skip: bool = False,
    ) -> "Labelled[Any]":
        """By the shares of pictures whose class is the best, "top1", among the best five, "top5"; "balanced" is the
        mean of each class's own top-1."""
        from pvt_edge.metrics.labelled_classes import judge_classes

        return judge_classes(cast("ClassSet", dataset), labels, limit=limit, skip=skip)

    def panels(self, shown: Shown) -> Panels:
        found, reference = (
            class_shares(side["logits"][0], shown.manifest.activation) for side in (shown.found, shown.reference)
        )
        same = shown.difference.value("top1") == 1
        return class_panels(shown.image, found, reference, shown.manifest.labels, same=same)
