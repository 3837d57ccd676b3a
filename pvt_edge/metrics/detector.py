"""COCO AP of a detector behind any runtime."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pvt_edge.metrics.average_precision import average_precision
from pvt_edge.postprocessing import Detections, select
from pvt_edge.resizing import apply, plan, to_original

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
    from pvt_edge.data.coco import CocoDataset
    from pvt_edge.resizing import Placement
    from pvt_edge.runtimes import Runtime

AP_CONF = 0.01  # low: average precision sweeps the threshold itself


def detector_accuracy(
    runtime: "Runtime", dataset: "CocoDataset", resize: "ResizeSpec", post: "PostprocessSpec"
) -> dict[str, float]:
    """COCO AP (see `average_precision`) of the detector that `runtime` runs on `dataset`."""
    from pvt_edge.sources import read_image

    spec = runtime.inputs[0]
    batch, height, width, _ = spec.shape
    found: list[tuple[int, Detections]] = []
    for sample in dataset.samples:
        image = read_image(sample.path)
        placement = plan((image.shape[0], image.shape[1]), (height, width), resize)
        pixels = apply(image, placement, resize)[None]
        # a static batch is filled up with the same picture
        arrays = runtime.infer({spec.name: np.repeat(pixels, max(batch, 1), axis=0)})
        found.append((sample.image_id, found_in(arrays, placement, post)))
    return average_precision(dataset, found)


def found_in(arrays: "Mapping[str, NDArray[Any]]", placement: "Placement", post: "PostprocessSpec") -> Detections:
    """What AP counts of a detector's outputs for one picture: in its own pixels, down to a score of 0.01."""
    boxes = to_original(arrays["boxes"][0], placement)
    return select(boxes, arrays["scores"][0], arrays["labels"][0], conf=AP_CONF, iou=post.iou, max_det=post.max_det)
