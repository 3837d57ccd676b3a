"""A class map painted over its picture, with a legend."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.class_map import void_of
from pvt_edge.drawing.boxes import colour_of, style_for
from pvt_edge.drawing.lettering import DARK, LIGHT, shortened, text_width, write

CLEAR = "background"
MOST_ROWS = 10  # of a legend
VOID_COLOUR = (192, 224, 224)  # as in Pascal VOC's files


def is_painted(name: str) -> bool:
    """Whether a class of that name is painted: not what the others leave over."""
    return name.lower() != CLEAR


@lru_cache(maxsize=1)
def _colours() -> NDArray[np.uint8]:
    """BGR of the ids 0 to 255, (256, 1, 3)."""
    return np.array([colour_of(i) for i in range(256)], np.uint8)[:, None]


def palette_rgb() -> NDArray[np.uint8]:
    """RGB of the ids 0 to 254 and of no class, (256, 3)."""
    palette = _colours()[:, 0, ::-1].copy()
    palette[255] = VOID_COLOUR[::-1]
    return palette


def draw_mask(
    image: NDArray[np.uint8], mask: NDArray[Any], opacity: float = 0.5, only: Collection[int] | None = None
) -> None:
    """Blend a class map (H, W) into `image` (H, W, 3) in place: each class in the colour of its boxes, `only` those
    where given; what has no class stays clear."""
    import cv2

    if mask.dtype == np.uint8:
        ids, seen = np.ascontiguousarray(mask), np.full(256, 255, np.uint8)
        seen[void_of(mask.dtype)] = 0
        if only is not None:
            seen[[i for i in range(256) if i not in only]] = 0
        colours, shown = cv2.applyColorMap(ids, _colours()), cv2.LUT(ids, seen)
    else:
        table = np.array([colour_of(i) for i in range(int(mask.max(initial=0)) + 1)], np.uint8)
        colours = table[np.maximum(mask, 0)]
        shown = ((mask >= 0) if only is None else np.isin(mask, list(only))).astype(np.uint8)
    cv2.copyTo(cv2.addWeighted(image, 1 - opacity, colours, opacity, 0), shown, image)


def draw_legend(image: NDArray[np.uint8], rows: Sequence[tuple[str, int, float]]) -> None:
    """Paint (name, class, share 0..1) rows, largest first, with the class's colour, in the top left of `image`."""
    import cv2

    if not rows:
        return
    height, width = image.shape[:2]
    style = style_for((height, width))
    pad, square = 2 * style.text // 3, style.text
    step, left = style.text + pad, pad + square + pad
    most = max(1, min(MOST_ROWS, (height - pad) // step))
    texts = [_text(name, share) for name, _, share in rows[:most]]
    if len(rows) > most:
        texts[-1] = f"and {len(rows) - most + 1} more"
    texts = [shortened(text, style, max(width - left - pad, 1)) for text in texts]
    wide = min(left + max(text_width(text, style) for text in texts) + pad, width)
    panel = image[: min(step * len(texts) + pad, height), :wide]
    panel[:] = (panel * 0.3 + np.array(DARK) * 0.7).astype(np.uint8)
    for row, (text, (_, class_id, _)) in enumerate(zip(texts, rows, strict=False)):
        base = pad + step * row + style.text
        if len(rows) <= most or row < most - 1:
            corner = (pad + square - 1, base)
            cv2.rectangle(panel, (pad, base - square + 1), corner, colour_of(class_id), cv2.FILLED)
        write(panel, text, (left, base), LIGHT, style)


def _text(name: str, share: float) -> str:
    return f"{name} {share:.1%}" if share >= 0.001 else f"{name} <0.1%"
