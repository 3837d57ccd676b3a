"""Text that OpenCV paints: in which letters, how wide, cut where."""

import cv2
import numpy as np
import pytest

from pvt_edge.drawing.lettering import Style, drawable, shortened, text_width, write

STYLE = Style(line=2, text=20, margin=3)
UNICODE = int(cv2.__version__.split(".")[0]) >= 5  # its fonts have more than ASCII


def painted(text):
    image = np.zeros((60, 400), np.uint8)
    write(image, text, (5, 40), 255, STYLE)
    return image


@pytest.mark.parametrize(
    ("text", "whole", "plain"),
    [
        ("", "", ""),
        ("RBC 0.91", "RBC 0.91", "RBC 0.91"),
        ("Zähler", "Zähler", "Zahler"),
        ("Za\u0308hler", "Zähler", "Zahler"),
        ("Москва", "Москва", r"\u041c\u043e\u0441\u043a\u0432\u0430"),
        ("细胞", "细胞", r"\u7ec6\u80de"),
        ("ok 😀", r"ok \U0001f600", r"ok \U0001f600"),
        ("two\nlines\t?", "two lines ?", "two lines ?"),
    ],
)
def test_letters_that_have_no_glyph_become_plain_or_their_code(text, whole, plain):
    assert drawable(text) == (whole if UNICODE else plain)


@pytest.mark.parametrize("pair", [("细胞", "血小"), ("😀", "😁"), ("ä", "я")])
def test_names_that_differ_look_different(pair):
    first, second = (painted(name) for name in pair)
    assert first.any()
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, painted("?" * len(pair[0])))


def test_widths_grow_with_the_text():
    widths = [text_width("a" * n, STYLE) for n in (0, 1, 5, 50)]
    assert widths == sorted(set(widths))


@pytest.mark.parametrize("most", [5000, 300, 100, 40, 0])
def test_text_is_cut_to_a_width(most):
    text = "a very long class name, longer than the picture"
    cut = shortened(text, STYLE, most)
    assert cut == text if most == 5000 else cut.endswith("...")
    assert text.startswith(cut.removesuffix("..."))
    assert text_width(cut, STYLE) <= most or len(cut) == 4  # a letter stays
