"""Agreement without labels: cases counted by hand, a brute-force oracle, and what is not finite."""

import math

import numpy as np
import pytest

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import DataError, RuntimeInputError, UnknownNameError
from pvt_edge.postprocessing import select
from pvt_edge.tasks import agreement

POST = PostprocessSpec(conf=0.5, iou=0.6, max_det=100)
OVERLAPPING = PostprocessSpec(conf=0.5, iou=0.95, max_det=100)  # an NMS that leaves neighbours alone
NOT_FINITE = [math.nan, math.inf, -math.inf]


def logits(*values):
    return {"logits": np.array([values], np.float32)}


def maps(**values):
    return {name: np.array(value, np.float32).reshape(1, -1, 1, 1) for name, value in values.items()}


def detections(*rows):
    """A detector's outputs for one picture of (x1, y1, x2, y2, score, label)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return {
        "boxes": table[None, :, :4].astype(np.float32),
        "scores": table[None, :, 4].astype(np.float32),
        "labels": table[None, :, 5].astype(np.int64),
    }


NOTHING = detections()


@pytest.mark.parametrize(
    ("found", "reference", "share", "cosine", "worst"),
    [
        ([logits(1, 2)], [logits(1, 2)], 1, 1, 1),
        ([logits(2, 4)], [logits(1, 2)], 1, 1, 1),
        ([logits(2, 1)], [logits(1, 2)], 0, 0.8, 0.8),
        ([logits(3, 4), logits(1, 0)], [logits(3, 4), logits(0, 1)], 0.5, 0.5, 0),
        ([logits(3, 4), logits(4, 3), logits(-1, 0)], [logits(3, 4), logits(3, 4), logits(1, 0)], 1 / 3, 0.32, -1),
        ([logits(0, 0)], [logits(0, 0)], 1, 1, 1),
        ([logits(0, 0)], [logits(1, 0)], 1, 0, 0),
        ([logits(1, 1)], [logits(2, 1)], 1, 3 / math.sqrt(10), 3 / math.sqrt(10)),  # the first of equals is the best
        ([logits(1, 1)], [logits(1, 2)], 0, 3 / math.sqrt(10), 3 / math.sqrt(10)),
        ([logits(1e30, 0)], [logits(1e30, 1e30)], 1, math.sqrt(0.5), math.sqrt(0.5)),  # squares beyond float32
        ([logits(1e-30, 0)], [logits(1e-30, 1e-30)], 1, math.sqrt(0.5), math.sqrt(0.5)),
        ([logits(800)], [logits(-800)], 0, 0, 0),  # one class alone: its share, 1 and 0
    ],
)
def test_classification(found, reference, share, cosine, worst):
    figures = agreement("classify", found, reference)
    assert list(figures) == ["agreement", "top1_agreement", "cosine", "worst_cosine"]
    assert list(figures.values()) == pytest.approx([share, share, cosine, worst], abs=1e-7)
    assert agreement("classify", found, reference) == figures


def test_classification_of_many_classes():
    reference = [{"logits": row[None]} for row in np.random.default_rng(0).normal(size=(20, 1000)).astype(np.float32)]
    found = [{"logits": arrays["logits"].copy()} for arrays in reference]
    assert list(agreement("classify", found, reference).values()) == [1, 1, 1, 1]
    found[7]["logits"][0, found[7]["logits"].argmin()] = reference[7]["logits"].max() + 1
    figures = agreement("classify", found, reference)
    assert figures["agreement"] == 0.95
    assert figures["worst_cosine"] < figures["cosine"] < 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_largest_numbers_of_a_dtype(dtype):
    largest = np.finfo(dtype).max
    found, reference = [{"logits": np.array([[largest, 0]], dtype)}], [{"logits": np.full((1, 2), largest, dtype)}]
    assert agreement("classify", found, reference)["cosine"] == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("broken", NOT_FINITE)
def test_logits_that_are_not_finite(broken):
    whole = logits(1, 2)
    for found, reference in (([logits(broken, 2), whole], [whole] * 2), ([whole] * 2, [logits(broken, 2), whole])):
        assert list(agreement("classify", found, reference).values()) == [0.5, 0.5, 0.5, 0]
    both = [logits(broken, 2)]
    assert list(agreement("classify", both, both).values()) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("found", "reference", "mean", "worst"),
    [
        ([maps(a=[1, 2], b=[3])], [maps(a=[1, 2], b=[3])], 1, 1),
        ([maps(a=[3, 4], b=[5])], [maps(a=[4, 3], b=[2])], 0.98, 0.96),
        ([maps(a=[3, 4]), maps(a=[0, 1])], [maps(a=[4, 3]), maps(a=[1, 0])], 0.48, 0),
        ([maps(a=[0, 0], b=[0])], [maps(a=[0, 0], b=[1])], 0.5, 0),
        ([maps(b=[1, 0], a=[0, 1])], [maps(a=[0, 1], b=[1, 0])], 1, 1),  # by name, not by order
    ],
)
def test_features(found, reference, mean, worst):
    figures = agreement("features", found, reference)
    assert list(figures) == ["agreement", "cosine", "worst_cosine"]
    assert list(figures.values()) == pytest.approx([mean, mean, worst], abs=1e-7)
    assert agreement("features", found, reference) == figures


@pytest.mark.parametrize("broken", NOT_FINITE)
def test_one_map_that_is_not_finite_spoils_its_picture(broken):
    whole, spoilt = maps(a=[1, 2], b=[3, 4]), maps(a=[1, 2], b=[3, broken])
    for found, reference in (([spoilt, whole], [whole] * 2), ([whole] * 2, [spoilt, whole])):
        assert list(agreement("features", found, reference).values()) == [0.5, 0.5, 0]


A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)
BOTH = detections((*A, 0.9, 0), (*B, 0.8, 1))


@pytest.mark.parametrize(
    ("found", "reference", "f1", "precision", "recall", "score_drift", "box_drift_px"),
    [
        ([NOTHING], [NOTHING], 1, 1, 1, 0, 0),
        ([NOTHING], [BOTH], 0, 1, 0, 0, 0),
        ([BOTH], [NOTHING], 0, 0, 1, 0, 0),
        ([NOTHING, BOTH], [NOTHING, BOTH], 1, 1, 1, 0, 0),
        ([BOTH], [BOTH], 1, 1, 1, 0, 0),
        ([detections((*B, 0.8, 1), (*A, 0.9, 0))], [BOTH], 1, 1, 1, 0, 0),  # in another order
        ([detections((*A, 0.9, 0))], [BOTH], 2 / 3, 1, 0.5, 0, 0),
        ([BOTH], [detections((*A, 0.9, 0))], 2 / 3, 0.5, 1, 0, 0),
        ([BOTH, NOTHING], [NOTHING, BOTH], 0, 0, 0, 0, 0),  # pictures are apart
        ([BOTH, BOTH], [BOTH, detections((*A, 0.9, 0), (*B, 0.8, 1), (*C, 0.7, 1))], 8 / 9, 1, 0.8, 0, 0),
        ([detections((*A, 0.9, 0), (*B, 0.8, 0))], [BOTH], 0.5, 0.5, 0.5, 0, 0),  # another class
        ([detections((*A, 0.7, 0), (*B, 0.9, 1))], [BOTH], 1, 1, 1, 0.15, 0),
        ([detections((3, 0, 13, 10, 0.9, 0), (*B, 0.8, 1))], [BOTH], 1, 1, 1, 0, 1.5),  # IoU 70/130
        ([detections((4, 0, 14, 10, 0.9, 0), (*B, 0.8, 1))], [BOTH], 0.5, 0.5, 0.5, 0, 0),  # IoU 60/140
        ([detections((0, 0, 10, 20, 0.9, 0))], [detections((*A, 0.9, 0))], 1, 1, 1, 0, 10),  # IoU 0.5
        ([detections((1, -2, 10.5, 10, 0.9, 0))], [detections((*A, 0.9, 0))], 1, 1, 1, 0, 2),  # the largest of four
        ([detections((*A, 0.9, 0), (*A, 0.8, 0))], [detections((*A, 0.9, 0))], 1, 1, 1, 0, 0),  # NMS drops the second
        ([detections((*A, 0.9, 0), (*C, 0.5, 0))], [detections((*A, 0.9, 0))], 1, 1, 1, 0, 0),  # not above 0.5
        ([detections((*A, 0.9, 0), (5, 5, 5, 9, 0.9, 0))], [detections((*A, 0.9, 0))], 1, 1, 1, 0, 0),  # no size
    ],
)
def test_detections(found, reference, f1, precision, recall, score_drift, box_drift_px):
    figures = agreement("detect", found, reference, POST)
    assert list(figures) == ["agreement", "f1", "precision", "recall", "score_drift", "box_drift_px"]
    assert list(figures.values()) == pytest.approx([f1, f1, precision, recall, score_drift, box_drift_px], abs=1e-6)
    assert agreement("detect", found, reference, POST) == figures
    other_way = agreement("detect", reference, found, POST)
    assert (other_way["f1"], other_way["precision"], other_way["recall"]) == pytest.approx((f1, recall, precision))


def test_one_to_one():
    found = [detections((*A, 0.9, 0))]
    reference = [detections((0, 0, 10, 9, 0.9, 0), (0, 0, 10, 8, 0.8, 0))]
    figures = agreement("detect", found, reference, OVERLAPPING)
    assert (figures["f1"], figures["precision"], figures["recall"]) == pytest.approx((2 / 3, 1, 0.5))


def test_the_largest_overlap_goes_first():
    # by score, the 6 px box would take the 9 px one (3 px off) and leave the 12 px one to the 10 px box (2 px off)
    found = [detections((0, 0, 10, 6, 0.9, 0), (0, 0, 10, 10, 0.8, 0))]
    reference = [detections((0, 0, 10, 9, 0.9, 0), (0, 0, 10, 12, 0.8, 0))]
    figures = agreement("detect", found, reference, OVERLAPPING)
    assert figures["f1"] == 1
    assert figures["box_drift_px"] == (1 + 6) / 2


def test_of_equal_overlaps_the_best_scores_pair():
    # two boxes overlap each of the reference's alike; so many, as a sort that is not stable keeps the order of a few
    found, reference = [], []
    for i in range(40):
        x, y = 20 * i, 10 + i % 5
        found += [(x, 0, x + 10, y - 1, 0.6, 0), (x, 1, x + 10, y, 0.9, 0)]
        reference.append((x, 0, x + 10, y, 0.8, 0))
    figures = agreement("detect", [detections(*found)], [detections(*reference)], OVERLAPPING)
    assert figures["precision"] == 0.5
    assert figures["score_drift"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("conf", "found", "reference", "f1"),
    [
        (0.5, 0.51, 0.49, 1),
        (0.5, 0.53, 0.46, 1),
        (0.5, 0.53, 0.44, 0),
        (0.5, 0.49, 0.49, 1),  # nobody detects it
        (0.05, 0.06, 0.011, 1),
        (0.05, 0.06, 0.009, 0),  # the floor
        (0.005, 0.009, 0.007, 1),  # a threshold under the floor is not raised
        (0.005, 0.009, 0.004, 0),
        (0.0, 0.009, 0.001, 1),
    ],
)
def test_fair_at_the_threshold(conf, found, reference, f1):
    sides = [[detections((*A, score, 0))] for score in (found, reference)]
    post = PostprocessSpec(conf=conf)
    assert agreement("detect", *sides, post)["f1"] == f1
    assert agreement("detect", *reversed(sides), post)["f1"] == f1


def test_what_neither_side_detects_takes_no_partner():
    # the 9 px box overlaps the reference's most and is below the threshold: the 8 px one is still matched
    found = [detections((0, 0, 10, 8, 0.9, 0), (0, 0, 10, 9, 0.48, 0))]
    reference = [detections((*A, 0.9, 0))]
    figures = agreement("detect", found, reference, OVERLAPPING)
    assert (figures["precision"], figures["recall"]) == (1, 1)


def test_a_pair_drifts_once():
    # A is matched both ways, B and C one way only
    sides = [[detections((*A, a, 0), (*B, b, 0), (*C, c, 0))] for a, b, c in ((0.9, 0.51, 0.49), (0.8, 0.49, 0.52))]
    assert agreement("detect", *sides, POST)["score_drift"] == pytest.approx((0.1 + 0.02 + 0.03) / 3)


def test_max_det():
    reference = [detections((*A, 0.9, 0), (*B, 0.8, 0), (*C, 0.7, 0))]
    assert agreement("detect", [detections((*A, 0.9, 0))], reference, PostprocessSpec(max_det=1))["f1"] == 1
    assert agreement("detect", [detections((*A, 0.9, 0))], reference, PostprocessSpec(max_det=2))["f1"] < 1


def test_boxes_of_many_classes_in_one_place():
    reference = [detections(*((*A, 0.9 - k / 400, k) for k in range(80)))]
    assert agreement("detect", reference, reference, POST)["f1"] == 1
    found = [detections(*((*A, 0.9 - k / 400, k + (k >= 60)) for k in range(80)))]  # class 60 gone, 80 in its place
    figures = agreement("detect", found, reference, POST)
    assert (figures["precision"], figures["recall"]) == pytest.approx((79 / 80, 79 / 80))
    assert figures["score_drift"] == pytest.approx(19 / 79 / 400, rel=1e-3)


def test_half_precision_scores():
    half = [{name: array.astype(np.float16) if name == "scores" else array for name, array in BOTH.items()}]
    figures = agreement("detect", half, [BOTH], POST)
    assert figures["f1"] == 1
    assert 0 < figures["score_drift"] < 1e-3


@pytest.mark.parametrize("broken", NOT_FINITE)
@pytest.mark.parametrize("name", ["boxes", "scores"])
def test_detections_that_are_not_finite(name, broken):
    def spoilt(arrays):
        return arrays | {name: np.full_like(arrays[name], broken)}

    for found, reference in (([spoilt(BOTH), BOTH], [BOTH] * 2), ([BOTH] * 2, [spoilt(BOTH), BOTH])):
        assert list(agreement("detect", found, reference, POST).values()) == [0.5, 0.5, 0.5, 0.5, 0, 0]
    unseen = detections((*A, 0.1, 0))  # the reference detects nothing: agreement is lost all the same
    assert list(agreement("detect", [spoilt(unseen)], [unseen], POST).values()) == [0] * 6
    assert list(agreement("detect", [spoilt(BOTH)], [spoilt(BOTH)], POST).values()) == [0] * 6


def by_definition(found, reference, post):
    """(f1, precision, recall): selected once for what counts, once for its partners, and paired one by one."""

    def chosen(arrays, conf):
        boxes, scores, labels = (arrays[name][0] for name in ("boxes", "scores", "labels"))
        det = select(boxes, scores, labels, conf=conf, iou=post.iou, max_det=post.max_det)
        return list(zip(det.xyxy.astype(float).tolist(), det.cls.tolist(), strict=True))

    def overlap(a, b):
        wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        both = max(wide, 0) * max(tall, 0)
        return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)

    def matched(side, other):
        partners = chosen(other, post.conf - 0.05)
        mine, count = chosen(side, post.conf), 0
        total = len(mine)
        while True:
            pairs = [(overlap(a[0], b[0]), i, j) for i, a in enumerate(mine) for j, b in enumerate(partners)]
            pairs = [(iou, i, j) for iou, i, j in pairs if iou >= 0.5 and mine[i][1] == partners[j][1]]
            if not pairs:
                return count, total
            _, i, j = max(pairs)
            del mine[i], partners[j]
            count += 1

    forth = np.sum([matched(a, b) for a, b in zip(found, reference, strict=True)], axis=0)
    back = np.sum([matched(b, a) for a, b in zip(found, reference, strict=True)], axis=0)
    return (forth[0] + back[0]) / (forth[1] + back[1]), forth[0] / forth[1], back[0] / back[1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("iou", [0.5, 0.9])
def test_agrees_with_the_definition(seed, iou):
    rng = np.random.default_rng(seed)
    found, reference = [], []
    for _ in range(3):
        corner, size = rng.uniform(0, 60, (60, 2)), rng.uniform(10, 40, (60, 2))
        rows = np.concatenate((corner, corner + size, rng.uniform(0.3, 0.8, (60, 1)), rng.integers(0, 3, (60, 1))), 1)
        reference.append(detections(*rows))
        rows[:, :5] += rng.normal(0, [2, 2, 2, 2, 0.03], (60, 5))
        found.append(detections(*rows))
    post = PostprocessSpec(conf=0.5, iou=iou, max_det=20)
    figures = agreement("detect", found, reference, post)
    expected = by_definition(found, reference, post)
    assert (figures["f1"], figures["precision"], figures["recall"]) == pytest.approx(expected)
    assert 0.3 < figures["f1"] < 1
    assert agreement("detect", reference, reference, post)["f1"] == 1


def test_a_detector_is_compared_above_a_threshold():
    found, reference = [detections((*A, 0.9, 0), (*B, 0.3, 0))], [detections((*A, 0.9, 0))]
    assert agreement("detect", found, reference, PostprocessSpec())["f1"] < 1
    assert agreement("detect", found, reference, POST)["f1"] == 1
    with pytest.raises(RuntimeInputError, match="threshold"):
        agreement("detect", found, reference)


def test_no_such_task():
    with pytest.raises(UnknownNameError) as caught:
        agreement("detection", [BOTH], [BOTH])
    assert str(caught.value) == (
        "unknown task 'detection': did you mean 'detect'? known are classify, features, detect, segment"
    )


@pytest.mark.parametrize(("task", "arrays"), [("classify", logits(1)), ("features", maps(a=[1])), ("detect", BOTH)])
def test_not_the_same_pictures(task, arrays):
    for found, reference in (([], []), ([arrays], []), ([arrays], [arrays] * 2)):
        told = f"cannot compare {len(found)} pictures found and {len(reference)} of the reference"
        with pytest.raises(DataError, match=told):
            agreement(task, found, reference, POST)


@pytest.mark.parametrize(
    ("found", "reference", "share", "least"),
    [(2.0, 2.1, 1.0, 0.999), (0.01, -0.01, 0.0, 0.999), (4.0, -4.0, 0.0, 0.0), (4.0, 0.1, 1.0, 0.7)],
)
def test_one_class_alone_is_judged_by_its_share(found, reference, share, least):
    pair = [[{"logits": np.array([[value]], np.float32)}] for value in (found, reference)]
    figures = agreement("classify", *pair)
    assert figures["agreement"] == share
    assert least <= figures["worst_cosine"] <= least + 0.1
