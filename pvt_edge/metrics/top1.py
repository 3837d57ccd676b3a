"""Top-1 and top-5 of a classifier behind any runtime."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.resizing import apply, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import ResizeSpec
    from pvt_edge.data.image_folder import ImageFolder
    from pvt_edge.runtimes import Runtime


def top1_accuracy(runtime: "Runtime", data: "ImageFolder", resize: "ResizeSpec") -> dict[str, float]:
    """Shares 0..1 of the pictures of `data` whose class is the best, "top1", or among the best five, "top5".

    A picture whose logits (1, K) are not all finite counts as wrong. Raises `DataError` for one that cannot be read.
    """
    from pvt_edge.sources import read_image

    spec = runtime.inputs[0]
    batch, height, width, _ = spec.shape
    places = []
    for path, label in data.samples:
        image = read_image(path)
        placement = plan((image.shape[0], image.shape[1]), (height, width), resize)
        pixels = apply(image, placement, resize)[None]
        # a static batch is filled up with the same picture
        arrays = runtime.infer({spec.name: np.repeat(pixels, max(batch, 1), axis=0)})
        places.append(place(arrays["logits"][0], label))
    return shares(places)


def shares(places: "Sequence[float]") -> dict[str, float]:
    """The shares 0..1 of places, at least one, that are the first, "top1", and among the first five, "top5"."""
    return {f"top{n}": sum(place < n for place in places) / len(places) for n in (1, 5)}


def place(logits: "NDArray[Any]", label: int) -> float:
    """The place of a class among logits or shares (K,), the best 0; equals in their order, as in `Probs`.

    Infinity where they are not all finite, and for one class alone unless its logit is positive.
    """
    if len(logits) == 1 and not logits[0] > 0:
        return math.inf
    if not np.isfinite(logits).all():
        return math.inf
    return int(np.argsort(-logits, kind="stable").tolist().index(label))
