"""A result painted on its picture."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvt_edge.drawing.boxes import draw_boxes, draw_classes
from pvt_edge.drawing.counters import draw_counts, draw_outlines
from pvt_edge.drawing.masks import draw_legend, draw_mask, is_painted

if TYPE_CHECKING:
    from pvt_edge.results import Result


def annotate(result: "Result") -> NDArray[np.uint8]:
    """A copy of the picture (H, W, 3) uint8 BGR with what was found."""
    image = (result.image if result.canvas is None else result.canvas).copy()
    labels = []
    if result.mask is not None:
        painted = {i: count for i, count in result.pixels.items() if is_painted(result.names[i])}
        draw_mask(image, result.mask, result.style.opacity, only=painted)
        draw_legend(image, [(result.names[i], i, count / result.mask.size) for i, count in painted.items()])
    draw_outlines(image, result.counters)
    if result.boxes is not None:
        ids = result.boxes.cls.tolist()
        words = [_words(result.names[i], track) for i, track in zip(ids, result.tracks(), strict=True)]
        texts = [(word, f"{c:.2f}") for word, c in zip(words, result.boxes.conf.tolist(), strict=True)]
        labels = draw_boxes(image, result.boxes.xyxy, ids, texts)
    if result.probs is not None:
        draw_classes(image, [(result.names[i], float(result.probs.data[i])) for i in result.probs.top5])
    draw_counts(image, result.counters, labels)
    return image


def _words(name: str, track: int | None) -> str:
    return name if track is None else f"{name} #{track}"
