"""A fault of one class, which the mean over all detections hides."""

import pytest

import pvt_edge
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.verification.checks import compare, tolerance
from pvt_edge.verification.contender import ClassTallies

from .faults import copy_bundle, move_boxes, plant
from .test_difference import detections

NAMES = ("ant", "bee")
LIMITS = tolerance("detect", "int8")
FP32, INT8 = "model.fp32.onnx", "model.int8.onnx"


def row(number: int, cls: int, px: float = 0.0, score: float = 0.8):
    x, y = 60 * (number % 8), 60 * (number // 8) + 300 * cls
    return (x, y, x + 40, y + 40 + px, score, cls)


def failures(found, reference):
    """Lines by figure of 30 ants that agree and these bees, a row each."""
    ants = [row(i, 0) for i in range(30)]
    tallies = ClassTallies()
    matches = compare("detect", detections(*ants, *found), detections(*ants, *reference), PostprocessSpec()).matches
    tallies.add(matches, NAMES)
    return {figure: lines for figure, limit in LIMITS.items() if (lines := tallies.failures(figure, limit))}


def bees(count, **changes):
    return [row(i, 1, **changes) for i in range(count)]


def test_a_sound_class():
    assert failures(bees(12), bees(12)) == failures(bees(12, px=2.9, score=0.785), bees(12)) == {}


@pytest.mark.parametrize(
    ("found", "figure", "line"),
    [
        (bees(12, px=4), "box_px", "box drift of bee 4.00 px is 1.00 px above the most allowed of one class, 3"),
        (bees(12, score=0.7), "score_drift",
         "score drift of bee 0.10 is 0.0800 above the most allowed of one class, 0.02"),
        ([], "f1", "matched-box F1 of bee 0.0000 is 0.96 below the least allowed of one class, 0.96"),
        (bees(9), "f1", "matched-box F1 of bee 0.8571 is 0.1 below the least allowed of one class, 0.96"),
    ],
)  # fmt: skip
def test_the_class_that_fails_is_named(found, figure, line):
    assert failures(found, bees(12)) == {figure: [line]}


def test_few_prove_nothing_and_one_lost_pair_is_forgiven():
    assert failures(bees(9, px=4), bees(9)) == failures(bees(11), bees(12)) == failures([], bees(9)) == {}


def test_the_worst_class_is_told():
    tallies = ClassTallies()
    found = [row(i, cls, px=4 + cls) for i in range(12) for cls in (0, 1)]
    reference = [row(i, cls) for i in range(12) for cls in (0, 1)]
    tallies.add(compare("detect", detections(*found), detections(*reference), PostprocessSpec()).matches, NAMES)
    (line,) = tallies.failures("box_px", 1.5)
    assert line.startswith("box drift of bee 5.00 px")


def test_what_is_no_number_has_no_class():
    tallies = ClassTallies()
    broken = detections((0, 0, 9, 9, float("nan"), 0))
    tallies.add(compare("detect", broken, detections(*bees(12)), PostprocessSpec()).matches, NAMES)
    assert tallies.failures("f1", 0.98) == []


def test_verify_names_the_class(cells_bundle, bccd, tmp_path):
    spoilt = plant(copy_bundle(cells_bundle, tmp_path / "copy", FP32, INT8), INT8, move_boxes(0, 12, 0))
    (line,) = pvt_edge.verify(spoilt, images=bccd / "images", limit=12, threads=2).failures
    assert line.startswith("onnxruntime int8: box drift of WBC 12.")
