"""Features: the backbone's four maps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pvt_edge.comparison.agreement import cosine, is_finite, mean_and_worst, relative_error
from pvt_edge.comparison.difference import Arrays, Difference, Tally, paired
from pvt_edge.comparison.panels import Panels, map_panels
from pvt_edge.tasks.task import Classes, Shown, Task

if TYPE_CHECKING:
    from pvt_edge.bundle.schema import Manifest, PostprocessSpec
    from pvt_edge.pictures.resizing import Placement
    from pvt_edge.postprocessing import Thresholds


class Features(Task):
    """Outputs: maps (B, C, h, w) of any names."""

    name = "features"
    figures = ("cosine", "feature_error")
    tolerances: ClassVar = {
        "fp32": (0.999999, 2e-5),
        "fp16": (0.99999, 3e-3),
        "bf16": (0.9998, 2e-2),
        "int8": (0.998, 6e-2),
        "approx": (0.97, 0.25),
    }
    agreement_words = "cosine with fp32"
    maps = True
    legend = "right, where the worst map differs: black within the tolerance, white at four times"

    def read(
        self,
        row: Mapping[str, NDArray[Any]],
        placement: "Placement",
        thresholds: "Thresholds",
        manifest: "Manifest | Classes",
    ) -> dict[str, Any]:
        return {"features": {name: array.astype(np.float32) for name, array in row.items()}}

    def num_classes(self, manifest: "Manifest") -> int | None:
        return None

    def compare(self, found: Arrays, reference: Arrays, post: "PostprocessSpec") -> Difference:
        """The least "cosine" of the maps and the largest "feature_error", |difference| / |reference| as vectors."""
        least = min(cosine(found[name], want) for name, want in reference.items())
        error = max(relative_error(found[name], want) for name, want in reference.items())
        return Difference({"cosine": Tally(least, 1), "feature_error": Tally(error, 1)})

    def agreement(
        self, found: Sequence[Arrays], reference: Sequence[Arrays], post: "PostprocessSpec | None"
    ) -> dict[str, float]:
        """Cosines, -1..1, of maps of the same name: "agreement" and "cosine" are the mean over pictures and maps,
        "worst_cosine" the least of them."""
        cosines = []
        for got, want in paired(found, reference):
            usable = is_finite(*got.values(), *want.values())  # one broken map spoils the picture
            cosines += [cosine(got[name], value) if usable else 0.0 for name, value in want.items()]
        figures = mean_and_worst(cosines)
        return {"agreement": figures["cosine"], **figures}

    def panels(self, shown: Shown) -> Panels:
        return map_panels(shown.image, shown.found, shown.reference, shown.limits["feature_error"])
