"""What is painted, where, in which colour: seen in the pixels."""

import numpy as np
import pytest

from pvt_edge.drawing.boxes import (
    PALETTE,
    colour_of,
    draw_boxes,
    draw_classes,
    style_for,
)
from pvt_edge.drawing.masks import draw_mask

GREY = 127
SIZES_HW = [(240, 320), (480, 640), (1080, 1920), (2160, 3840), (3840, 2160)]


def canvas(height=480, width=640):
    return np.full((height, width, 3), GREY, np.uint8)


def changed(image):
    return (image != GREY).any(axis=-1)


def coloured(image, class_id):
    return (image == colour_of(class_id)).all(axis=-1)


def letters(image, class_id):
    return int((changed(image) & ~coloured(image, class_id)).sum())


def draw(image, boxes, ids, texts=None):
    draw_boxes(image, np.array(boxes, np.float32).reshape(-1, 4), ids, texts or [("RBC", "0.91")] * len(ids))
    return image


def test_no_boxes_paint_nothing():
    assert not changed(draw(canvas(), [], [])).any()


def test_no_classes_and_no_mask_paint_nothing():
    image = canvas()
    draw_classes(image, [])
    draw_mask(image, np.full((480, 640), -1, np.int64))
    assert not changed(image).any()


@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_the_frame_lies_on_the_box(size_hw):
    height, width = size_hw
    x0, y0, x1, y1 = width // 4, height // 4, width // 2, height // 2
    image = draw(canvas(height, width), [(x0, y0, x1, y1)], [1])
    edge = coloured(image, 1)
    assert edge[y1, x0:x1].all()
    assert edge[y0:y1, x0].all()
    assert edge[y0:y1, x1].all()
    line = style_for(size_hw).line
    assert not changed(image)[y0 + line : y1 - line, x0 + line : x1 - line].any()  # the inside stays clear


@pytest.mark.parametrize(
    ("size_hw", "boxes", "line", "text"),
    [
        ((240, 320), 1, 1, 8),
        ((480, 640), 1, 2, 9),
        ((480, 640), 40, 1, 8),
        ((1080, 1920), 1, 4, 23),
        ((2160, 3840), 1, 9, 46),
        ((2160, 3840), 40, 6, 42),
    ],
)
def test_lines_and_letters_grow_with_the_picture(size_hw, boxes, line, text):
    style = style_for(size_hw, boxes)
    assert (style.line, style.text) == (line, text)


@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize("corner", ["top left", "top right", "bottom left", "bottom right", "whole"])
def test_labels_stay_inside_the_picture(size_hw, corner):
    height, width = size_hw
    side = height // 4
    left, top = width - side if "right" in corner else 0, height - side if "bottom" in corner else 0
    box = (0, 0, width, height) if corner == "whole" else (left, top, left + side, top + side)
    image = draw(canvas(height, width), [box], [0], [("Platelets", "0.99")])
    middle = draw(canvas(height, width), [(side, side, 2 * side, 2 * side)], [0], [("Platelets", "0.99")])
    assert letters(image, 0) == letters(middle, 0) > 100  # none is cut off


def test_a_label_names_its_box_in_its_colour():
    image = draw(canvas(), [(100, 100, 200, 200), (400, 100, 500, 200)], [0, 1])
    for class_id, left in ((0, 100), (1, 400)):
        assert changed(image)[88:100, left : left + 40].all()
        assert coloured(image, class_id)[88:98, left : left + 40].mean() > 0.4


def test_the_better_box_is_on_top():
    image = draw(canvas(), [(100, 100, 200, 200), (100, 100, 200, 200)], [0, 1])
    assert coloured(image, 0)[200, 100:200].all()


def test_labels_in_a_crowd_do_not_cover_each_other():
    alone = draw(canvas(), [(300, 300, 340, 340)], [1])
    both = draw(canvas(), [(300, 300, 340, 340), (303, 300, 343, 340)], [1, 2])
    assert np.array_equal(both[280:299], alone[280:299])  # the label above the better one's box is whole
    assert coloured(both, 2)[302:314, 304:330].mean() > 0.3  # the worse one's went inside


def test_where_no_place_is_left_the_better_label_is_on_top():
    box = (300, 300, 340, 340)
    image = draw(canvas(), [box] * 12, [1] + [2] * 11)
    alone = draw(canvas(), [box], [1])
    assert np.array_equal(image[280:299], alone[280:299])


def test_boxes_outside_the_picture_do_no_harm():
    image = draw(canvas(), [(-50, -50, -10, -10), (700, 500, 900, 900), (-1e6, -1e6, 1e6, 1e6)], [0, 1, 2])
    assert image.shape == (480, 640, 3)


def test_colours_are_stable_and_distinct():
    colours = [colour_of(i) for i in range(80)]
    assert colours == [colour_of(i) for i in range(80)]
    assert len(set(colours)) == 80
    first = np.array(PALETTE, int)
    apart = np.abs(first[:, None] - first[None]).sum(axis=-1)
    assert (apart[~np.eye(len(first), dtype=bool)] > 90).all()


def test_class_rows_have_bars_as_long_as_their_shares():
    image = canvas()
    draw_classes(image, [("dog", 0.8), ("cat", 0.4), ("owl", 0.0)])
    bars = coloured(image, 1).sum(axis=1)
    lengths = [int(bars[rows].max()) for rows in np.array_split(np.arange(66), 3)]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=3)
    assert lengths[2] <= 1
    assert not changed(image)[:, 320:].any()


def test_more_rows_than_the_picture_holds_are_cut():
    image = canvas(40, 50)
    draw_classes(image, [("a very long class name, longer than the picture", 0.5)] * 5)
    assert image.shape == (40, 50, 3)
    assert changed(image).any()


def test_a_mask_blends_by_its_opacity():
    image = canvas()
    mask = np.full((480, 640), -1, np.int64)
    mask[:10] = 3
    draw_mask(image, mask, opacity=0.25)
    expected = (np.full(3, GREY) * 0.75 + np.array(colour_of(3)) * 0.25).round().astype(np.uint8)
    assert (image[:10] == expected).all()
    assert not changed(image)[10:].any()


def test_long_names_are_cut_to_their_picture():
    image = draw(canvas(), [(600, 300, 630, 340)], [1], [("a very long class name " * 5, "0.91")])
    label = changed(image)[288:299]
    assert label.any(axis=0).sum() < 200


@pytest.mark.parametrize("hw", [(1, 1), (2, 30), (64, 64)])
def test_small_pictures_hold_what_they_can(hw):
    image = draw(canvas(*hw), [(0, 0, hw[1], hw[0])] * 20, [1] * 20)
    assert changed(image).any()
