"""Text painted on a picture by OpenCV, in whatever letters its fonts have."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DARK, LIGHT = (24, 24, 24), (255, 255, 255)
CUT = "..."


@dataclass(frozen=True)
class Style:
    """Sizes in pixels: of a box's line, of the text's capitals, and of the margin around text."""

    line: int
    text: int
    margin: int

    @property
    def label_height(self) -> int:
        """Of a line of text with its margins."""
        return self.text + 2 * self.margin


@lru_cache(maxsize=4096)
def drawable(text: str) -> str:
    r"""The text on one line, in letters that can be painted.

    OpenCV 5 has Latin, Greek, Cyrillic, Chinese and more, OpenCV 4 ASCII alone, and both paint ? for the rest. That
    becomes its plain letter where it has one (ä: a), else its code (\\\\u7ec6), which still tells names apart.
    """
    whole = "".join(letter if letter.isprintable() else " " for letter in unicodedata.normalize("NFC", text))
    return "".join(letter if _has_glyph(letter) else _plain(letter) for letter in whole)


@lru_cache(maxsize=4096)
def _has_glyph(letter: str) -> bool:
    unknown = ("?", "?" * len(letter.encode()))  # OpenCV 4 paints one a byte
    return letter.isascii() or not any(np.array_equal(_painted(letter), _painted(marks)) for marks in unknown)


def _painted(text: str) -> NDArray[np.uint8]:
    import cv2

    canvas = np.zeros((48, 128), np.uint8)
    cv2.putText(canvas, text, (8, 32), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 1)
    return canvas


def _plain(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return parts or letter.encode("ascii", "backslashreplace").decode()


def _scale(style: Style) -> float:
    return style.text / 22.0  # Hershey simplex's capitals are 22 units high at scale 1


@lru_cache(maxsize=4096)
def text_width(text: str, style: Style) -> int:
    """Pixels from the first letter to the last."""
    import cv2

    weight = max(1, style.line // 2)
    (width, _), _ = cv2.getTextSize(drawable(text), cv2.FONT_HERSHEY_SIMPLEX, _scale(style), weight)
    return int(width)


def label_width(text: str, style: Style) -> int:
    """Pixels of a label with its margins."""
    return text_width(text, style) + 2 * style.margin


def shortened(text: str, style: Style, most: int) -> str:
    """The text, or its beginning and "..." where the whole is wider than `most` pixels; at least a letter."""
    if text_width(text, style) <= most:
        return text
    low, high = 1, len(text)  # letters that fit, and that do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if text_width(text[:middle] + CUT, style) <= most else (low, middle)
    return text[:low].rstrip() + CUT


def write(image: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int], style: Style) -> None:
    """Paint text whose first letter's foot is at xy."""
    import cv2

    weight = max(1, style.line // 2)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, drawable(text), at, font, _scale(style), colour, weight, cv2.LINE_AA)


def draw_label(
    image: NDArray[np.uint8],
    text: str,
    place_xyxy: tuple[int, int, int, int],
    colour: tuple[int, int, int],
    style: Style,
) -> None:
    """Paint text on a filled rectangle, dark or light as the colour asks for."""
    import cv2

    x0, y0, x1, y1 = place_xyxy
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, cv2.FILLED)
    luminance = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]  # Rec. 601
    write(image, text, (x0 + style.margin, y1 - style.margin), DARK if luminance > 140 else LIGHT, style)
