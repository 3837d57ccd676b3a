"""A result painted on its picture, with the lines and zones that count and their counts beside the boxes' labels."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pvt_edge.drawing.boxes import Place, draw_boxes, draw_classes, style_for
from pvt_edge.drawing.lettering import Style, draw_label, label_width, text_width
from pvt_edge.drawing.masks import draw_legend, draw_mask, is_painted

if TYPE_CHECKING:
    from pvt_edge.results import Result
    from pvt_edge.results.fields import Counter

COUNTER_COLOUR = (0, 230, 255)


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


def draw_outlines(image: NDArray[np.uint8], counters: "Sequence[Counter]") -> None:
    """Paint the lines and zones on `image` (H, W, 3) BGR in place; an arrow shows a line's "in"."""
    import cv2

    style = style_for((image.shape[0], image.shape[1]))
    for counter in counters:
        corners = np.array(counter.points, np.int32)
        cv2.polylines(image, [corners], len(corners) > 2, COUNTER_COLOUR, style.line, cv2.LINE_AA)
        if len(corners) == 2:
            _draw_arrow(image, corners, style)


def draw_counts(image: NDArray[np.uint8], counters: "Sequence[Counter]", taken: Sequence[Place] = ()) -> None:
    """Paint each counter's name and counts near it on `image` in place, on no label `taken` where there is room."""
    height, width = image.shape[:2]
    style = style_for((height, width))
    used = [*taken]
    for counter in counters:
        text = _text(counter, style, width - 1 - 2 * style.margin)
        size_wh = (label_width(text, style), style.label_height)
        place = _free_place(counter, size_wh, (height, width), style, used)
        used.append(place)
        draw_label(image, text, place, COUNTER_COLOUR, style)


def _text(counter: "Counter", style: Style, most: int) -> str:
    """What fits into so many pixels: name and counts, the counts with their words, or the counts."""
    counts = "  ".join(f"{name} {count}" for name, count in counter.counts.items())
    texts = (f"{counter.name}: {counts}", counts, "/".join(map(str, counter.counts.values())))
    return next((text for text in texts if text_width(text, style) <= most), texts[-1])


def _free_place(
    counter: "Counter", size_wh: tuple[int, int], image_hw: tuple[int, int], style: Style, used: Sequence[Place]
) -> Place:
    """The first place that covers nothing used, else the one that covers least."""
    taken = np.array(used, np.int64).reshape(-1, 4)
    best, least = None, 0
    for place in _places(counter, size_wh, image_hw, style):
        covered = _covered(place, taken)
        if best is None or covered < least:
            best, least = place, covered
        if not covered:
            break
    assert best is not None  # there is always one at the middle
    return best


def _covered(place: Place, taken: NDArray[np.int64]) -> int:
    """Pixels of a place that lie on those taken (n, 4) xyxy."""
    low, high = np.maximum(taken[:, :2], place[:2]), np.minimum(taken[:, 2:], place[2:])
    return int(np.maximum(high - low, 0).prod(axis=1).sum())


def _places(counter: "Counter", size_wh: tuple[int, int], image_hw: tuple[int, int], style: Style) -> Iterator[Place]:
    """xyxy inside the picture, the nicest first: below and above the middle, then along the outline, then near."""
    (wide, tall), (height, width) = size_wh, image_hw
    corners = np.array(counter.points, float)
    ends = np.roll(corners, -1, axis=0)[: len(corners) if len(corners) > 2 else 1]  # a zone's outline is closed
    sides = zip(corners, ends, strict=False)
    along = [start + (end - start) * part for start, end in sides for part in (0.5, 0.25, 0.75, 0.0, 1.0)]
    for x, y in [corners.mean(axis=0), *along]:
        for left, top in (
            (x - wide / 2, y + style.line),
            (x - wide / 2, y - style.line - tall),
            (x + style.line, y - tall / 2),
            (x - style.line - wide, y - tall / 2),
        ):
            yield _inside(left, top, size_wh, image_hw)
    x, y = corners.mean(axis=0)
    tops, lefts = range(0, max(1, height - tall), tall), range(0, max(1, width - wide), max(1, wide // 2))
    grid = [(left, top) for top in tops for left in lefts]
    for left, top in sorted(grid, key=lambda at: abs(at[0] + wide / 2 - x) + abs(at[1] + tall / 2 - y)):
        yield _inside(left, top, size_wh, image_hw)


def _inside(left: float, top: float, size_wh: tuple[int, int], image_hw: tuple[int, int]) -> Place:
    x = int(max(0, min(left, image_hw[1] - 1 - size_wh[0])))
    y = int(max(0, min(top, image_hw[0] - 1 - size_wh[1])))
    return x, y, x + size_wh[0], y + size_wh[1]


def _draw_arrow(image: NDArray[np.uint8], ends: NDArray[np.int32], style: Style) -> None:
    """An arrow to the right of who walks the line from its first end (2, 2), a quarter of the way along."""
    import cv2

    along = (ends[1] - ends[0]).astype(float)
    right = np.array((-along[1], along[0])) / max(np.hypot(*along), 1.0)
    foot = ends[0] + along / 4
    tip = foot + 2.5 * style.text * right
    start, end = (tuple(np.rint(point).astype(int).tolist()) for point in (foot, tip))
    cv2.arrowedLine(image, start, end, COUNTER_COLOUR, style.line, cv2.LINE_AA, tipLength=0.4)
