"""Text and colours of the contact sheet."""

import numpy as np
from numpy.typing import NDArray

from pvt_edge.drawing.lettering import drawable

# BGR; red and amber differ in lightness too, for who cannot tell the hues apart
RED, AMBER, GREEN, SAME = (40, 40, 225), (0, 190, 255), (80, 160, 40), (150, 170, 90)
INK, GREY, LIGHT, PAPER = (30, 30, 30), (120, 120, 120), (255, 255, 255), (255, 255, 255)
BODY, SMALL, TITLE = 0.5, 0.4, 0.85


def text_width(text: str, *, small: bool = False, title: bool = False) -> int:
    """Pixels that `write` will need."""
    import cv2

    scale, weight = _style(small, title)
    (width, _), _ = cv2.getTextSize(drawable(text), cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    return int(width)


def write(
    image: NDArray[np.uint8],
    text: str,
    at: tuple[int, int],
    colour: tuple[int, int, int] = INK,
    *,
    small: bool = False,
    title: bool = False,
) -> int:
    """The x where the text ends, written with its baseline's left end at `at`."""
    import cv2

    scale, weight = _style(small, title)
    cv2.putText(image, drawable(text), at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, weight, cv2.LINE_AA)
    return at[0] + text_width(text, small=small, title=title)


def shorten(text: str, width: int) -> str:
    """`text`, its middle left out where it is wider than `width` pixels."""
    if text_width(text) <= width:
        return text
    keep = len(text)
    while keep > 8 and text_width(f"{text[: keep // 2]}...{text[-keep // 2 :]}") > width:
        keep -= 2
    return f"{text[: keep // 2]}...{text[-keep // 2 :]}"


def _style(small: bool, title: bool) -> tuple[float, int]:
    return (TITLE, 2) if title else (SMALL if small else BODY, 1)
