"""Thresholds, class-aware NMS against a brute-force oracle, softmax."""

import numpy as np
import pytest

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import RuntimeInputError, UnknownNameError
from pvt_edge.postprocessing import Thresholds, choose_thresholds, class_shares, select, softmax

NAMES = ("RBC", "WBC", "Platelets")


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def overlap(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0])
    tall = min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(tall, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def brute_force(xyxy, scores, labels, conf, iou, max_det):
    """Indices kept, by the definition: best first, each against all better ones of its class."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        wrong = scores[i] <= conf or (xyxy[i, 2:] - xyxy[i, :2]).min() < 0.01
        if not wrong and all(labels[j] != labels[i] or overlap(xyxy[i], xyxy[j]) <= iou for j in kept):
            kept.append(int(i))
    return kept[:max_det]


def test_no_candidates_give_no_detections():
    found = select(boxes(), np.zeros(0, np.float32), np.zeros(0, np.int64), conf=0.1, iou=0.5, max_det=10)
    assert found.xyxy.shape == (0, 4)
    assert (found.xyxy.dtype, found.conf.dtype, found.cls.dtype) == (np.float32, np.float32, np.int64)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.5, 0.9])
def test_select_agrees_with_brute_force(seed, iou):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-50, 200, (120, 2))
    size = rng.uniform(-5, 80, (120, 2))  # some have no area
    xyxy = np.concatenate((corner, corner + size), 1).astype(np.float32)
    scores = rng.permutation(120).astype(np.float32) / 120
    labels = rng.integers(0, 3, 120)
    found = select(xyxy, scores, labels, conf=0.2, iou=iou, max_det=25)
    expected = brute_force(xyxy, scores, labels, 0.2, iou, 25)
    assert found.conf.tolist() == scores[expected].tolist()
    assert found.cls.tolist() == labels[expected].tolist()
    assert np.array_equal(found.xyxy, xyxy[expected])


SAME = boxes((0, 0, 10, 10), (0, 0, 10, 10))


@pytest.mark.parametrize(
    ("xyxy", "scores", "labels", "options", "kept"),
    [
        (SAME, (0.9, 0.8), (1, 1), {}, [0]),
        (SAME, (0.9, 0.8), (1, 2), {}, [0, 1]),  # other classes do not suppress
        (SAME - 100, (0.9, 0.8), (0, 1), {}, [0, 1]),  # nor do they left of and above the picture
        (SAME, (0.8, 0.9), (1, 2), {}, [1, 0]),  # best first
        (SAME, (0.5, 0.25), (1, 2), {}, [0]),  # conf is strict: 0.25 is not above 0.25
        (SAME, (0.9, 0.8), (1, 2), {"max_det": 1}, [0]),
        (SAME, (0.9, 0.8), (1, 2), {"classes": (2,)}, [1]),
        (SAME, (0.9, 0.8), (1, 2), {"classes": ()}, []),
        (SAME, (0.9, 0.8), (1, 1), {"iou": 1.0}, [0, 1]),  # iou is strict: 1 is not above 1
        (boxes((0, 0, 10, 10), (0, 0, 5, 10)), (0.9, 0.8), (0, 0), {"iou": 0.5}, [0, 1]),  # exactly 0.5
        (boxes((5, 5, 5, 9), (5, 5, 9, 5), (9, 9, 5, 5)), (0.9, 0.9, 0.9), (0, 0, 0), {}, []),
        (boxes((5, 5, 5.009, 9), (5, 5, 9, 5.009), (5, 5, 5.02, 5.02)), (0.9, 0.8, 0.7), (0, 0, 0), {}, [2]),
        (SAME, (np.nan, 0.8), (0, 0), {}, [1]),
        (SAME, (np.inf, 0.8), (0, 0), {}, [1]),
        (boxes((0, 0, np.inf, 9), (-np.inf, 0, 9, 9), (0, np.nan, 9, 9), (0, 0, 9, 9)), [0.9] * 4, [0] * 4, {}, [3]),
    ],
)
def test_select_rules(xyxy, scores, labels, options, kept):
    scores, labels = np.array(scores, np.float32), np.array(labels, np.int64)
    found = select(xyxy, scores, labels, **({"conf": 0.25, "iou": 0.5, "max_det": 100} | options))
    assert found.conf.tolist() == scores[kept].tolist()
    assert found.cls.tolist() == labels[kept].tolist()


def test_the_bundle_s_thresholds_hold_where_none_are_given():
    spec = PostprocessSpec(conf=0.3, iou=0.6, max_det=7)
    assert choose_thresholds(spec, NAMES) == Thresholds(0.3, 0.6, 7, None)
    assert choose_thresholds(spec, NAMES, conf=0, iou=1, max_det=1, classes=[]) == Thresholds(0.0, 1.0, 1, ())


@pytest.mark.parametrize(
    ("classes", "ids"),
    [(None, None), ([], ()), (1, (1,)), ("WBC", (1,)), (["WBC", 0, "RBC"], (0, 1)), ((2, 2), (2,))],
)
def test_classes_by_id_or_name(classes, ids):
    assert choose_thresholds(PostprocessSpec(), NAMES, classes=classes).classes == ids


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"conf": 1.5}, RuntimeInputError, "conf must be a number from 0 to 1.*got 1.5"),
        ({"conf": float("nan")}, RuntimeInputError, "got nan"),
        ({"iou": -0.1}, RuntimeInputError, "iou must be a number from 0 to 1"),
        ({"iou": "0.5"}, RuntimeInputError, "got '0.5'"),
        ({"max_det": 0}, RuntimeInputError, "max_det must be a whole number from 1"),
        ({"max_det": 2.5}, RuntimeInputError, "got 2.5"),
        ({"conf": True}, RuntimeInputError, "got True"),
        ({"max_det": True}, RuntimeInputError, "got True"),
        ({"classes": [3]}, RuntimeInputError, "class ids go from 0 to 2 .*got 3"),
        ({"classes": [-1]}, RuntimeInputError, "got -1"),
        ({"classes": ["Platelet"]}, UnknownNameError, "did you mean 'Platelets'"),
    ],
)
def test_wrong_thresholds_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        choose_thresholds(PostprocessSpec(), NAMES, **options)


@pytest.mark.parametrize("one", [1, 1.0, np.float32(1), np.int64(1)], ids=repr)
def test_a_number_of_any_kind(one):
    assert choose_thresholds(PostprocessSpec(), NAMES, conf=one, iou=one, max_det=np.int64(1)).conf == 1.0


def test_softmax_of_large_logits_stays_finite():
    shares = softmax(np.array([[1000.0, 1000.0, 0.0], [0.0, np.log(2), np.log(5)]], np.float32))
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0.0], [0.125, 0.25, 0.625]], atol=1e-6)
    assert shares.dtype == np.float32


@pytest.mark.parametrize(
    ("logits", "activation", "shares"),
    [
        ([0.0], "softmax", [0.5]),
        ([np.log(3)], "sigmoid", [0.75]),
        ([-1000.0], "softmax", [0.0]),
        ([0.0, np.log(3)], "softmax", [0.25, 0.75]),
        ([0.0, np.log(3)], "sigmoid", [0.5, 0.75]),
        ([[0.0], [np.log(3)]], "softmax", [[0.5], [0.75]]),
    ],
)
def test_shares_of_one_class_and_of_many(logits, activation, shares):
    found = class_shares(np.array(logits, np.float32), activation)
    np.testing.assert_allclose(found, shares, atol=1e-6)
    assert found.dtype == np.float32
