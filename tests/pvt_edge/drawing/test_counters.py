"""Lines, zones and their counts: seen in the pixels."""

import numpy as np
import pytest

from pvt_edge.drawing.annotation import COUNTER_COLOUR, draw_counts, draw_outlines
from pvt_edge.drawing.boxes import style_for
from pvt_edge.results import Boxes, Counter, Result

COUNTS = {"in": 12, "out": 3}


@pytest.mark.parametrize(
    ("points", "in_side", "out_side"),
    [
        (((40, 120), (280, 120)), (100, 130), (100, 110)),
        (((280, 120), (40, 120)), (220, 110), (220, 130)),
        (((160, 20), (160, 220)), (150, 70), (170, 70)),
    ],
    ids=["to the right", "to the left", "down"],
)
def test_an_arrow_shows_which_way_a_line_counts_in(points, in_side, out_side):
    image = np.zeros((240, 320, 3), np.uint8)
    counters = [Counter("line 1", points, {"in": 0, "out": 0})]
    draw_outlines(image, counters)
    (x, y), (other_x, other_y) = in_side, out_side
    assert image[y - 1 : y + 2, x - 1 : x + 2].max() > 150
    assert image[other_y - 5 : other_y + 5, other_x - 5 : other_x + 5].sum() == 0


def test_no_counters_leave_the_picture_as_it_is():
    image = np.full((240, 320, 3), 90, np.uint8)
    draw_outlines(image, [])
    draw_counts(image, [])
    assert (image == 90).all()


def test_counts_are_painted_inside_the_picture():
    image = np.zeros((240, 320, 3), np.uint8)
    draw_counts(image, [Counter("zone 1", ((250, 200), (319, 200), (319, 239), (250, 239)), {"inside": 3})])
    assert ((image == COUNTER_COLOUR).all(axis=2)).sum() > 300  # the label: an outline this thin is of mixed colours


def labels(image):
    return (image == COUNTER_COLOUR).all(axis=2)


@pytest.mark.parametrize("hw", [(64, 64), (120, 160), (480, 640), (2160, 3840)])
def test_counts_cover_no_label_of_a_box(hw):
    height, width = hw
    across = Counter("line 1", ((0, height // 2), (width, height // 2)), COUNTS)
    style = style_for(hw)
    top = height // 2 + style.line + style.label_height  # the label above it lies where the counts would
    box = [width // 2 - 2 * style.text, top, width * 3 // 4, top + height // 4]
    found = Boxes([box], [0.9], [0])
    image = np.full((*hw, 3), 90, np.uint8)
    alone = Result(image, ("RBC",), boxes=found).plot()
    both = Result(image, ("RBC",), boxes=found, counters=(across,)).plot()
    rows = slice(top - style.label_height, top - style.line)
    label = (alone[rows] != image[rows]).any(axis=2)
    assert np.array_equal(both[rows][label], alone[rows][label])
    assert labels(both).sum() > 100


def test_counts_of_several_lines_through_one_point_stand_apart():
    image = np.zeros((480, 640, 3), np.uint8)
    crossing = [((0, 240), (640, 240)), ((320, 0), (320, 480)), ((0, 0), (640, 480)), ((640, 0), (0, 480))]
    areas = []
    for count in range(1, 5):
        image[:] = 0
        draw_counts(image, [Counter(f"line {i}", points, COUNTS) for i, points in enumerate(crossing[:count])])
        areas.append(int((image != 0).any(axis=2).sum()))
    assert [area / areas[0] for area in areas] == pytest.approx([1, 2, 3, 4], rel=0.02)


@pytest.mark.parametrize(
    "points", [((0, 0), (640, 0)), ((0, 479), (640, 479)), ((639, 0), (639, 480)), ((0, 0), (0, 9))]
)
def test_counts_at_a_border_are_whole(points):
    whole, border = np.zeros((480, 640, 3), np.uint8), np.zeros((480, 640, 3), np.uint8)
    draw_counts(whole, [Counter("line 1", ((100, 200), (500, 200)), COUNTS)])
    draw_counts(border, [Counter("line 1", points, COUNTS)])
    assert (border != 0).any(axis=2).sum() == (whole != 0).any(axis=2).sum()


def test_a_narrow_picture_keeps_the_counts():
    image = np.zeros((40, 60, 3), np.uint8)
    draw_counts(image, [Counter("a line with a long name", ((0, 20), (60, 20)), {"in": 1, "out": 2})])
    narrow = image.copy()
    image[:] = 0
    draw_counts(image, [Counter("x" * 99, ((0, 20), (60, 20)), {"in": 1, "out": 2})])
    assert np.array_equal(image, narrow)  # the name is left out, whichever it is


def test_a_crowd_leaves_the_counts_readable_and_near():
    places = [(x, y, x + 60, y + 12) for x in range(0, 640, 60) for y in range(0, 480, 12)]
    free = [place for place in places if place[:2] not in ((240, 300), (300, 300), (360, 300))]
    image = np.zeros((480, 640, 3), np.uint8)
    draw_counts(image, [Counter("line 1", ((0, 240), (640, 240)), COUNTS)], free)
    ys, _ = np.nonzero(labels(image))
    assert abs(ys.mean() - 240) < 100
