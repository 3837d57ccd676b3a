"""How the answers to one picture are compared, and what a tolerance says of it."""

import math

import numpy as np
import pytest

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.comparison.difference import FIGURES, Tally, ratio
from pvt_edge.errors import RuntimeInputError
from pvt_edge.tasks import TASKS, get_task
from pvt_edge.verification.checks import check_limits, compare, tolerance

POST = PostprocessSpec(conf=0.25, iou=0.5)
NAN, INF = float("nan"), float("inf")


def detections(*rows):
    """(x0, y0, x1, y1, score, class) rows as a graph gives them."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return {"boxes": table[None, :, :4], "scores": table[None, :, 4], "labels": table[None, :, 5].astype(np.int64)}


def logits(*values):
    return {"logits": np.array([values], np.float32)}


def maps(*values):
    return {"map": np.array(values, np.float32).reshape(1, -1, 1, 1)}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


A, B = (0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.6, 1)
CASES = {
    "nothing on either side": ("detect", detections(), detections(), (1, 0, 0)),
    "the same": ("detect", detections(A, B), detections(B, A), (1, 0, 0)),
    "one is lost": ("detect", detections(A), detections(A, B), (2 / 3, 0, 0)),
    "another class": ("detect", detections((*A[:5], 1)), detections(A), (0, 0, 0)),
    "moved and rescored": ("detect", detections((0, 1, 10, 12, 0.8, 0), B), detections(A, B), (1, 1, 0.05)),
    "the same logits": ("classify", logits(1, 2, 0), logits(1, 2, 0), (1, 1, 0)),
    "twice the logits": ("classify", logits(0, 2), logits(0, 1), (1, 1, sigmoid(2) - sigmoid(1))),
    "another best class": ("classify", logits(1, 0), logits(0, 1), (0, 0, math.tanh(0.5))),
    "another of a tie": ("classify", logits(1, 1.01, -9), logits(1.01, 1, -9), (1, 1, 0.005)),
    "one class, another side of a half": ("classify", logits(-1), logits(1), (0, 0.6481, math.tanh(0.5))),
    "one class, both near a half": ("classify", logits(-0.001), logits(0.001), (1, 1, 0.0005)),
    "the same maps": ("features", maps(3, 4), maps(3, 4), (1, 0)),
    "a tenth larger": ("features", maps(3.3, 4.4), maps(3, 4), (1, 0.1)),
    "zeros of both": ("features", maps(0, 0), maps(0, 0), (1, 0)),
    "something for zeros": ("features", maps(1, 0), maps(0, 0), (0, 1)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_figures(case):
    task, found, reference, expected = CASES[case]
    difference = compare(task, found, reference, POST)
    assert difference.finite
    assert [difference.value(name) for name in get_task(task).figures] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize(
    ("task", "sound", "output"),
    [("detect", detections(A), "scores"), ("classify", logits(1, 2), "logits"), ("features", maps(1, 2), "map")],
)
def test_no_number_is_no_agreement(task, sound, output, value):
    spoilt = {**sound, output: np.full_like(sound[output], value)}
    for found, reference, broken in ((spoilt, sound, ((output,), ())), (sound, spoilt, ((), (output,)))):
        difference = compare(task, found, reference, POST)
        assert (difference.broken, difference.broken_reference) == broken
        assert difference.value(get_task(task).figures[0]) == 0
        assert difference.severity(tolerance(task, "int8")) == INF


def test_ratio_weighs_pictures_by_what_is_in_them():
    assert ratio("f1", []) == ratio("f1", [Tally(0, 0)]) == 1
    assert ratio("box_px", []) == 0
    assert ratio("f1", [Tally(2, 2), Tally(0, 6)]) == 0.25


def test_severity_is_1_at_the_limit():
    limits = {"f1": 0.9, "box_px": 2.0, "score_drift": 0.1}
    at = compare("detect", detections((0, 0, 10, 12, 0.9, 0)), detections(A), POST)
    assert at.severity(limits) == pytest.approx(1)
    assert compare("detect", detections(A), detections(A), POST).severity(limits) == 0


def test_each_precision_may_differ_more_than_the_last():
    for task in TASKS.values():
        for name, column in zip(task.figures, zip(*task.tolerances.values(), strict=True), strict=True):
            loosening = [1 - limit for limit in column] if FIGURES[name].least else list(column)
            assert loosening == sorted(loosening)
            assert len(set(loosening)) == len(loosening)


def test_the_looser_side_sets_the_tolerance_and_the_user_has_the_last_word():
    assert tolerance("detect", "fp32", "int8") == tolerance("detect", "int8") == tolerance("detect", "int8", "bf16")
    assert tolerance("detect", "int8", given={"f1": 0.5}) == {**tolerance("detect", "int8"), "f1": 0.5}


def test_limits_by_option():
    assert check_limits("classify", {}) == check_limits("classify", {"min_top1": None, "min_f1": None}) == {}
    assert check_limits("classify", {"min_top1": 1, "max_score_drift": 0.5}) == {"top1": 1, "score_drift": 0.5}
    with pytest.raises(RuntimeInputError, match="its limits are min_top1, min_cosine, max_score_drift"):
        check_limits("classify", {"min_f1": 0.5})


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("f1", 1.0, "1.0000"), ("f1", 0.5, "0.5000"), ("cosine", 0.9999987, "0.99999870"),
        ("cosine", 1 - 1e-13, "1.00000000"), ("cosine", 0, "0.0000"),
        ("box_px", 0, "0.0000 px"), ("box_px", 0.0012, "0.0012 px"), ("box_px", 2.345, "2.35 px"),
        ("score_drift", 2.2e-7, "2.2e-07"), ("box_px", 9999, "9999.00 px"), ("feature_error", 1e25, "1.0e+25"),
    ],
)  # fmt: skip
def test_words(name, value, text):
    assert FIGURES[name].text(value) == text
