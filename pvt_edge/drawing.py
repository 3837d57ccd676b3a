"""Boxes, class names and masks painted on a picture, legible from 320 pixels to 4K."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# BGR, hand-picked to differ from each other and from most scenes; dark enough or light enough for text on them
PALETTE = (
    (56, 56, 255), (255, 144, 30), (60, 180, 50), (0, 180, 255), (211, 60, 170), (190, 190, 0),
    (147, 69, 255), (120, 60, 20), (0, 215, 235), (130, 0, 75), (80, 127, 255), (30, 105, 60),
)  # fmt: skip
DARK, LIGHT = (24, 24, 24), (255, 255, 255)


@dataclass(frozen=True)
class Style:
    """Sizes in pixels: of a box's line, of the text's capitals, and of the margin around text."""

    line: int
    text: int
    margin: int


def style_for(image_hw: tuple[int, int]) -> Style:
    """The style for a picture of this size: lines of 2 and letters of 9 pixels at 480x640, in proportion beyond."""
    side = float(np.sqrt(image_hw[0] * image_hw[1]))
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

    `texts` are (name, figure) per box: "RBC", "0.91". Where the label is wider than its box or would lie on a
    better one's, the figure is left out; where the name still does, the label moves inside or below the box.
    """
    import cv2

    height, width = image.shape[:2]
    style = style_for((height, width))
    corners = np.clip(np.rint(boxes_xyxy), 0, (width - 1, height - 1) * 2).astype(int).tolist()
    for (x0, y0, x1, y1), class_id in reversed(list(zip(corners, class_ids, strict=True))):
        cv2.rectangle(image, (x0, y0), (x1, y1), colour_of(class_id), style.line)
    taken: list[tuple[int, int, int, int]] = []
    for corner, class_id, (name, figure) in zip(corners, class_ids, texts, strict=True):
        text, place = _place_label(corner, (name, figure), (height, width), style, taken)
        taken.append(place)
        _label(image, text, place, colour_of(class_id), style)


def draw_classes(image: NDArray[np.uint8], rows: Sequence[tuple[str, float]]) -> None:
    """Paint a list of (name, share in 0..1), best first, with bars, in the top left corner of `image` in place."""
    import cv2

    style = style_for((image.shape[0], image.shape[1]))
    texts = [f"{share:.2f}  {name}" for name, share in rows]
    if not texts:
        return
    step = style.text + 4 * style.margin
    wide = min(max(_text_width(text, style) for text in texts) + 6 * style.margin, image.shape[1])
    panel = image[: min(step * len(texts) + 2 * style.margin, image.shape[0]), :wide]
    panel[:] = (panel * 0.35 + np.array(DARK) * 0.65).astype(np.uint8)
    for row, (text, (_, share)) in enumerate(zip(texts, rows, strict=True)):
        base = style.margin + step * row + style.text + style.margin
        _write(panel, text, (2 * style.margin, base), LIGHT, style)
        end = 2 * style.margin + round(max(0.0, min(share, 1.0)) * (wide - 4 * style.margin))
        line_y = base + style.margin + style.line
        cv2.line(panel, (2 * style.margin, line_y), (end, line_y), colour_of(1), style.line)


def draw_mask(image: NDArray[np.uint8], mask: NDArray[np.int64], opacity: float = 0.5) -> None:
    """Blend a class map (H, W) into `image` (H, W, 3) in place; negative classes stay clear."""
    for class_id in np.unique(mask).tolist():
        if class_id >= 0:
            where = mask == class_id
            image[where] = (image[where] * (1 - opacity) + np.array(colour_of(class_id)) * opacity).astype(np.uint8)


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
    first: tuple[str, tuple[int, int, int, int]] | None = None
    for text in (" ".join(words), words[0]):
        wide = _text_width(text, style) + 2 * style.margin
        left = max(0, min(x0 - style.line // 2, width - wide))
        for top in (y0 - tall, y0, y1, y1 - tall):
            place = (left, top, left + wide, top + tall)
            if top < 0 or top + tall > height:
                continue
            first = (text, place) if first is None else first
            fits = text == words[0] or wide <= x1 - x0 + 2 * style.margin
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
