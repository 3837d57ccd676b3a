"""The contact sheet: which pictures are on it, and that what differs is marked where it is."""

import numpy as np
import pytest

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.comparison.panels import (
    AMBER,
    GREEN,
    PANEL_HW,
    RED,
    SAME,
    box_panels,
    class_panels,
    map_panels,
    shorten,
    text_width,
    write,
)
from pvt_edge.verification.checks import compare, tolerance
from pvt_edge.verification.contact_sheet import CAPTION, HEAD, MARGIN, ContactSheet

from .test_difference import A, B, detections

GREY = np.full((330, 440, 3), 128, np.uint8)
NAMES = ("ant", "bee")
LIMITS = tolerance("detect", "int8")


class Described:
    """What a sheet takes of a manifest."""

    variant, task, labels = "b0", "detect", NAMES


def has(panel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((panel == np.array(colour, np.uint8)).all(axis=-1).any())


def boxes(found, reference):
    matches = compare("detect", detections(*found), detections(*reference), PostprocessSpec()).matches
    return box_panels(GREY, matches, (1.0, 1.0), LIMITS, NAMES)


def test_nothing_in_the_picture():
    left, right = boxes([], [])
    assert (left == GREY).all()
    assert (right == GREY).all()


@pytest.mark.parametrize(
    ("found", "reference", "left", "right"),
    [
        ([A], [A], {SAME}, {SAME}),
        ([], [A], {RED}, set()),
        ([A], [], set(), {RED}),
        ([(*A[:4], 0.5, 0)], [A], {AMBER}, {AMBER}),
        ([(0, 0, 10, 13, 0.9, 0), B], [A, B], {AMBER, SAME}, {AMBER, SAME}),
    ],
    ids=["the same", "lost", "new", "rescored", "one moved"],
)
def test_what_differs_is_marked(found, reference, left, right):
    for panel, marked in zip(boxes(found, reference), (left, right), strict=True):
        assert {colour for colour in (SAME, AMBER, RED) if has(panel, colour)} == marked


def test_boxes_lie_where_the_picture_has_them():
    """A picture of twice the panel, told in boxes of a quarter of it."""
    picture = np.full((660, 880, 3), 128, np.uint8)
    matches = compare("detect", detections((25, 25, 75, 50, 0.9, 0)), detections(), PostprocessSpec()).matches
    _, right = box_panels(picture, matches, (0.25, 0.25), LIMITS, NAMES)
    rows, columns = np.nonzero((right == np.array(RED, np.uint8)).all(axis=-1))
    assert (columns.min(), columns.max()) == pytest.approx((50, 150), abs=1)
    assert rows.max() == pytest.approx(100, abs=1)


def test_classes():
    same, other = np.array([0.2, 0.8], np.float32), np.array([0.7, 0.3], np.float32)
    assert has(class_panels(GREY, same, same, NAMES, same=True)[1], GREEN)
    assert has(class_panels(GREY, other, same, NAMES, same=False)[1], RED)


def test_maps_show_where_they_differ():
    want = {"map": np.ones((1, 4, 2, 2), np.float32)}
    got = {"map": want["map"].copy()}
    got["map"][..., 0, 1] = 2
    _, right = map_panels(GREY, got, want, limit=0.02)
    assert right[:150, 250:].min() == 255
    assert right[:, :200].max() == right[200:].max() == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("found", "reference"), [(1, 0), (0, 0), (1e30, 1), (1, 1e30)])
def test_maps_of_zeros_and_of_huge_values(found, reference):
    got, want = ({"map": np.full((1, 4, 2, 2), value, np.float32)} for value in (found, reference))
    _, right = map_panels(GREY, got, want, limit=0.02)
    assert (right.max() == 255) == (found != reference)


def test_the_worst_are_kept_worst_first():
    sheet = ContactSheet(Described, "onnxruntime fp32", count=3)
    assert sheet.picture(0) is None
    for number, px in enumerate([0.5, 3.0, 0.0, 2.0, 9.0]):
        answers = detections((0, 0, 100, 100 + px, 0.9, 0)), detections((0, 0, 100, 100, 0.9, 0))
        difference = compare("detect", *answers, PostprocessSpec())
        sheet.offer(f"{number}.png", GREY, (1.0, 1.0), "openvino int8", difference, LIMITS, answers)
    assert [entry.picture for entry in sheet._entries] == ["4.png", "1.png", "3.png"]
    drawn = sheet.picture(5)
    assert drawn.shape == (
        HEAD + 2 * (PANEL_HW[0] + 2 * CAPTION + MARGIN),
        2 * (2 * PANEL_HW[1] + 4 + MARGIN) + MARGIN,
        3,
    )
    assert has(drawn, AMBER)


def test_not_a_number_is_worse_than_anything():
    sheet = ContactSheet(Described, "onnxruntime fp32", count=1)
    for boxes_, picture in ((detections(A), "fine.png"), (detections((*A[:4], float("nan"), 0)), "nan.png")):
        difference = compare("detect", boxes_, detections(B), PostprocessSpec())
        sheet.offer(picture, GREY, (1.0, 1.0), "openvino int8", difference, LIMITS, (boxes_, detections(B)))
    assert [entry.picture for entry in sheet._entries] == ["nan.png"]
    assert sheet.picture(2) is not None


def test_long_names_are_shortened_in_the_middle():
    name = "a_very_long_name_" * 20 + "end.jpg"
    short = shorten(name, 300)
    assert text_width(short) <= 300
    assert short.startswith("a_very")
    assert short.endswith("end.jpg")
    assert shorten("short.jpg", 300) == "short.jpg"


def test_names_that_are_not_ascii_are_no_question_marks():
    def painted(text):
        image = np.full((40, 120, 3), 255, np.uint8)
        write(image, text, (4, 30))
        return image.tobytes()

    assert len({painted(text) for text in ("細胞", "ö", "??", "?")}) == 4
