"""Boxes, class names and masks painted on a picture, legible from 320 pixels to 4K."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pvt_edge.frame_info import Counter

# BGR, hand-picked to differ from each other and to carry dark or light text.
PALETTE = (
    (52, 52, 235), (255, 144, 30), (60, 180, 50), (0, 180, 255), (211, 60, 170), (190, 190, 0),
    (147, 69, 255), (45, 82, 160), (140, 230, 240), (250, 61, 60), (80, 127, 255), (40, 140, 122),
)  # fmt: skip
CROWD = 12  # boxes from which labels are likely to meet
COUNTER_COLOUR = (0, 230, 255)
DARK, LIGHT = (24, 24, 24), (255, 255, 255)


@dataclass(frozen=True)
class Style:
    """Sizes in pixels: of a box's line, of the text's capitals, and of the margin around text."""

    line: int
    text: int
    margin: int


def style_for(image_hw: tuple[int, int], boxes: int = 0) -> Style:
    """The style for a picture of this size: 2-pixel lines and 9-pixel letters at 480x640.

    A crowd of boxes gets thinner lines and smaller letters.
    """
    side = float(np.sqrt(image_hw[0] * image_hw[1]))
    if boxes > CROWD:
        return Style(max(1, round(side / 480)), max(8, round(side / 68)), max(2, round(side / 300)))
    return Style(max(1, round(side / 320)), max(8, round(side / 62)), max(2, round(side / 250)))


def colour_of(class_id: int) -> tuple[int, int, int]:
    """BGR of a class: always the same; past the palette, hues a golden angle apart."""
    import colorsys

    if class_id < len(PALETTE):
        return PALETTE[class_id]
    red, green, blue = colorsys.hsv_to_rgb(class_id * 0.381966 % 1, 0.85, 0.75 if class_id % 2 else 0.95)
    return int(blue * 255), int(green * 255), int(red * 255)


def draw_boxes(
    image: NDArray[np.uint8],
    boxes_xyxy: NDArray[np.float32],
    class_ids: Sequence[int],
    texts: Sequence[tuple[str, str]],
) -> None:
    """Paint boxes (n, 4) in pixels, best first, on `image` (H, W, 3) BGR in place.

    `texts` are (name, figure) per box: "RBC", "0.91". Where the label is twice as wide as its box
    or would lie on a better one's, it moves inside or below the box, and then the figure is left out.
    """
    import cv2

    height, width = image.shape[:2]
    style = style_for((height, width), len(boxes_xyxy))
    corners = np.clip(np.rint(boxes_xyxy), 0, (width - 1, height - 1) * 2).astype(int).tolist()
    for (x0, y0, x1, y1), class_id in reversed(list(zip(corners, class_ids, strict=True))):
        cv2.rectangle(image, (x0, y0), (x1, y1), colour_of(class_id), style.line)
    labels: list[tuple[str, tuple[int, int, int, int]]] = []
    for corner, words in zip(corners, texts, strict=True):
        labels.append(_place_label(corner, words, (height, width), style, [place for _, place in labels]))
    for (text, place), class_id in reversed(list(zip(labels, class_ids, strict=True))):
        _label(image, text, place, colour_of(class_id), style)


def draw_classes(image: NDArray[np.uint8], rows: Sequence[tuple[str, float]]) -> None:
    """Paint (name, share in 0..1) rows, best first, with bars, in the top left of `image` in place."""
    import cv2

    height, width = image.shape[:2]
    style = style_for((height, width))
    texts = [f"{share:.2f}  {name}" for name, share in rows]
    if not texts:
        return
    pad, bar = 2 * style.text // 3, max(2, style.text // 4)
    step = style.text + bar + pad + style.margin
    wide = min(max(_text_width(text, style) for text in texts) + 2 * pad, width)
    panel = image[: min(step * len(texts) + pad, height), :wide]
    panel[:] = (panel * 0.3 + np.array(DARK) * 0.7).astype(np.uint8)
    for row, (text, (_, share)) in enumerate(zip(texts, rows, strict=True)):
        base = pad + step * row + style.text
        _write(panel, text, (pad, base), LIGHT, style)
        top = base + style.margin + 1
        cv2.rectangle(panel, (pad, top), (wide - pad, top + bar - 1), (90, 90, 90), cv2.FILLED)
        end = pad + round(max(0.0, min(share, 1.0)) * (wide - 2 * pad))
        cv2.rectangle(panel, (pad, top), (end, top + bar - 1), colour_of(1), cv2.FILLED)


def draw_mask(image: NDArray[np.uint8], mask: NDArray[np.int64], opacity: float = 0.5) -> None:
    """Blend a class map (H, W) into `image` (H, W, 3) in place; negative classes stay clear."""
    for class_id in np.unique(mask).tolist():
        if class_id >= 0:
            where = mask == class_id
            image[where] = (image[where] * (1 - opacity) + np.array(colour_of(class_id)) * opacity).astype(np.uint8)


def draw_counters(image: NDArray[np.uint8], counters: "Sequence[Counter]") -> None:
    """Paint lines and zones with their counts on `image` (H, W, 3) BGR in place; arrows show a line's "in"."""
    import cv2

    style = style_for((image.shape[0], image.shape[1]))
    for number, counter in enumerate(counters):
        corners = np.array(counter.points, np.int32)
        cv2.polylines(image, [corners], len(corners) > 2, COUNTER_COLOUR, style.line, cv2.LINE_AA)
        if len(corners) == 2:
            _draw_arrow(image, corners, style)
        text = f"{counter.name}: " + "  ".join(f"{name} {count}" for name, count in counter.counts.items())
        wide, tall = _text_width(text, style) + 2 * style.margin, style.text + 2 * style.margin
        middle_xy = corners.mean(axis=0).astype(int)
        left = int(np.clip(middle_xy[0] - wide // 2, 0, max(0, image.shape[1] - wide)))
        top = int(np.clip(middle_xy[1] + style.margin + number, 0, max(0, image.shape[0] - tall)))
        _label(image, text, (left, top, left + wide, top + tall), COUNTER_COLOUR, style)


def _draw_arrow(image: NDArray[np.uint8], ends: NDArray[np.int32], style: Style) -> None:
    """An arrow to the right of who walks the line from its first end (2, 2), a quarter of the way along."""
    import cv2

    along = (ends[1] - ends[0]).astype(float)
    right = np.array((-along[1], along[0])) / max(np.hypot(*along), 1.0)
    foot = ends[0] + along / 4
    tip = foot + 2.5 * style.text * right
    start, end = (tuple(np.rint(point).astype(int).tolist()) for point in (foot, tip))
    cv2.arrowedLine(image, start, end, COUNTER_COLOUR, style.line, cv2.LINE_AA, tipLength=0.4)


def _place_label(
    corner: Sequence[int],
    words: tuple[str, str],
    image_hw: tuple[int, int],
    style: Style,
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[str, tuple[int, int, int, int]]:
    """The label's text and its xyxy, inside the picture."""
    x0, y0, x1, y1 = corner
    height, width = image_hw
    tall = style.text + 2 * style.margin
    for text in (" ".join(words), words[0]):
        wide = _text_width(text, style) + 2 * style.margin
        left = max(0, min(x0 - style.line // 2, width - wide))
        for top in (y0 - tall, y0, y1, y1 - tall):
            place = (left, top, left + wide, top + tall)
            if top < 0 or top + tall > height:
                continue
            fits = text == words[0] or wide <= 2 * (x1 - x0)
            if fits and not any(_overlap(place, other) for other in taken):
                return text, place
    wide = _text_width(words[0], style) + 2 * style.margin
    left, top = max(0, min(x0, width - wide)), max(0, min(y0 - tall, height - tall))
    return words[0], (left, top, left + wide, top + tall)


def _overlap(a: Sequence[int], b: Sequence[int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _text_scale(style: Style) -> float:
    return style.text / 22.0  # Hershey simplex's capitals are 22 units high at scale 1


def _text_width(text: str, style: Style) -> int:
    import cv2

    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _text_scale(style), max(1, style.line // 2))
    return int(width)


def _write(
    image: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int], style: Style
) -> None:
    import cv2

    weight = max(1, style.line // 2)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, _text_scale(style), colour, weight, cv2.LINE_AA)


def _label(
    image: NDArray[np.uint8],
    text: str,
    place: tuple[int, int, int, int],
    colour: tuple[int, int, int],
    style: Style,
) -> None:
    import cv2

    x0, y0, x1, y1 = place
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, cv2.FILLED)
    luminance = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]  # Rec. 601
    _write(image, text, (x0 + style.margin, y1 - style.margin), DARK if luminance > 140 else LIGHT, style)
