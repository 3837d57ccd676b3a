"""Boxes and class names painted on a picture, legible from 320 pixels to 4K."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvt_edge.drawing.lettering import DARK, LIGHT, Style, draw_label, label_width, shortened, text_width, write

# BGR, hand-picked to differ from each other and to carry dark or light text.
PALETTE = (
    (52, 52, 235), (255, 144, 30), (60, 180, 50), (0, 180, 255), (211, 60, 170), (190, 190, 0),
    (147, 69, 255), (45, 82, 160), (140, 230, 240), (250, 61, 60), (80, 127, 255), (40, 140, 122),
)  # fmt: skip
LABEL_SHARE = 4  # of the picture's width that a name may have beside a smaller box: one part of so many
CROWD = 12  # boxes from which labels are likely to meet
Place: TypeAlias = tuple[int, int, int, int]  # xyxy of a label


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
) -> list[Place]:
    """The labels' places, after painting boxes (n, 4) in pixels, best first, on `image` (H, W, 3) BGR in place.

    `texts` are (name, figure) per box: "RBC", "0.91". Where the label is twice as wide as its box
    or would lie on a better one's, it moves inside or below the box, and then the figure is left out. A name far
    wider than its box is cut.
    """
    import cv2

    height, width = image.shape[:2]
    style = style_for((height, width), len(boxes_xyxy))
    corners = np.clip(np.rint(boxes_xyxy), 0, (width - 1, height - 1) * 2).astype(int).tolist()
    for (x0, y0, x1, y1), class_id in reversed(list(zip(corners, class_ids, strict=True))):
        cv2.rectangle(image, (x0, y0), (x1, y1), colour_of(class_id), style.line)
    labels: list[tuple[str, Place]] = []
    for corner, words in zip(corners, texts, strict=True):
        labels.append(_place_label(corner, words, (height, width), style, [place for _, place in labels]))
    for (text, place), class_id in reversed(list(zip(labels, class_ids, strict=True))):
        draw_label(image, text, place, colour_of(class_id), style)
    return [place for _, place in labels]


def draw_classes(image: NDArray[np.uint8], rows: Sequence[tuple[str, float]]) -> None:
    """Paint (name, share in 0..1) rows, best first, with bars, in the top left of `image` in place."""
    import cv2

    height, width = image.shape[:2]
    style = style_for((height, width))
    pad, bar = 2 * style.text // 3, max(2, style.text // 4)
    texts = [shortened(f"{share:.2f}  {name}", style, width - 2 * pad) for name, share in rows]
    if not texts:
        return
    step = style.text + bar + pad + style.margin
    wide = min(max(text_width(text, style) for text in texts) + 2 * pad, width)
    panel = image[: min(step * len(texts) + pad, height), :wide]
    panel[:] = (panel * 0.3 + np.array(DARK) * 0.7).astype(np.uint8)
    for row, (text, (_, share)) in enumerate(zip(texts, rows, strict=True)):
        base = pad + step * row + style.text
        write(panel, text, (pad, base), LIGHT, style)
        top = base + style.margin + 1
        cv2.rectangle(panel, (pad, top), (wide - pad, top + bar - 1), (90, 90, 90), cv2.FILLED)
        end = pad + round(max(0.0, min(share, 1.0)) * (wide - 2 * pad))
        cv2.rectangle(panel, (pad, top), (end, top + bar - 1), colour_of(1), cv2.FILLED)


def _place_label(
    corner: Sequence[int], words: tuple[str, str], image_hw: tuple[int, int], style: Style, taken: Sequence[Place]
) -> tuple[str, Place]:
    """The label's text and its place, inside the picture."""
    x0, y0, x1, y1 = corner
    height, width = image_hw
    tall = style.label_height
    most = min(max(2 * (x1 - x0), width // LABEL_SHARE, 5 * style.text), width - 1 - 2 * style.margin)
    name = shortened(words[0], style, most)
    for text in (f"{name} {words[1]}", name):
        wide = label_width(text, style)
        left = max(0, min(x0 - style.line // 2, width - 1 - wide))
        for top in (y0 - tall, y0, y1, y1 - tall):
            place = (left, top, left + wide, top + tall)
            if top < 0 or top + tall > height:
                continue
            fits = text == name or wide <= 2 * (x1 - x0)
            if fits and not any(_overlap(place, other) for other in taken):
                return text, place
    wide = label_width(name, style)
    left, top = max(0, min(x0, width - 1 - wide)), max(0, min(y0 - tall, height - tall))
    return name, (left, top, left + wide, top + tall)


def _overlap(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
