"""Ids of tracked boxes: over drawn clips, over gaps, over clocks that jump."""

from dataclasses import replace

import numpy as np
import pytest
from supervision import box_iou_batch

from pvt_edge.errors import DataError
from pvt_edge.results import Boxes, FrameInfo, Probs, Result
from pvt_edge.scenes import scene_clip
from pvt_edge.streams.following import Tracker

BLANK = np.zeros((480, 640, 3), np.uint8)


def result(xyxy, conf=0.9, number=0, at=0.0):
    n = len(xyxy)
    boxes = Boxes(np.reshape(np.asarray(xyxy, float), (n, 4)), np.full(n, conf), np.zeros(n))
    return Result(BLANK, ("cell",), boxes=boxes, frame=FrameInfo(number, at))


def one(x, **options):
    return result([[x, 100, x + 50, 150]], **options)


def ids(tracker, *results):
    return [tracker.follow(given).boxes.id.tolist() for given in results]


def test_nothing_found():
    assert ids(Tracker(25.0, live=False), result([]), result([])) == [[], []]


def test_an_id_once_a_box_was_seen_twice():
    assert ids(Tracker(25.0, live=False), *[one(10 + 3 * i) for i in range(4)]) == [[-1], [1], [1], [1]]


def test_ids_are_in_the_order_of_the_boxes():
    tracker, rng = Tracker(25.0, live=False), np.random.default_rng(0)
    places = np.array([[100 * i, 100, 100 * i + 50, 150] for i in range(5)], float)
    known: dict[int, int] = {}
    for number in range(20):
        order = rng.permutation(5)
        found = tracker.follow(result(places[order])).boxes
        assert np.array_equal(found.xyxy, places[order])
        for place, track in zip(order.tolist(), found.id.tolist(), strict=True):
            if number:
                assert known.setdefault(place, track) == track
    assert sorted(known.values()) == [1, 2, 3, 4, 5]


def test_a_box_that_is_hidden_for_a_moment_keeps_its_id_and_loses_it_after_long():
    tracker = Tracker(10.0, live=False)
    assert ids(tracker, *[one(100)] * 3, *[result([])] * 5, one(100))[-1] == [1]
    assert ids(tracker, *[result([])] * 15, one(100), one(100))[-1] == [2]


def test_faint_boxes_begin_no_track_and_keep_one():
    tracker = Tracker(25.0, live=False)
    assert ids(tracker, *[one(100, conf=0.3)] * 5) == [[-1]] * 5
    assert ids(tracker, *[one(100)] * 3, *[one(100, conf=0.3)] * 3)[-1] == [1]


# When frames of a live source came, with one box that moves 50 pixels a second.
CLOCKS = {
    "steady": [0.1 * i for i in range(12)],
    "uneven, as frames are dropped": [0, 0.03, 0.4, 0.45, 0.9, 1.0, 1.6, 1.63, 1.7],
    "set back by an hour": [5000, 5000.1, 5000.2, 1400, 1400.1, 1400.2],
    "set forward by a day": [0, 0.1, 0.2, 86400, 86400.1],
    "the same time twice": [0, 0.1, 0.1, 0.2],
}


@pytest.mark.parametrize("times", CLOCKS.values(), ids=CLOCKS)
def test_ids_outlive_the_clock(times):
    tracker, x = Tracker(30.0, live=True), 100.0
    given = []
    for before, at in zip([times[0], *times], times, strict=False):
        x += 50 * (at - before if 0 <= at - before < 10 else 0.1)
        given.append(one(x, at=1e9 + at))
    assert ids(tracker, *given)[1:] == [[1]] * (len(times) - 1)


def test_a_live_source_that_was_away_for_long_gives_new_ids():
    times = [0, 0.1, 0.2, 30.0, 30.1]
    assert ids(Tracker(10.0, live=True), *[one(100, at=1e9 + at) for at in times]) == [[-1], [1], [1], [-1], [2]]


def test_cells_of_a_drawn_clip_keep_their_ids():
    """By the true boxes, shaken by a pixel and each missed in one frame of ten."""
    tracker, rng = Tracker(25.0, live=False), np.random.default_rng(1)
    last: Boxes | None = None
    kept = changed = 0
    for number, scene in enumerate(scene_clip(3, 50)):
        seen = rng.random(len(scene.boxes_xyxy)) > 0.1
        found = scene.boxes_xyxy[seen] + rng.normal(0, 1, (int(seen.sum()), 4))
        now = tracker.follow(result(found, number=number)).boxes
        if last is not None and number > 2:
            overlaps = box_iou_batch(last.xyxy, now.xyxy)
            for row, column in enumerate(overlaps.argmax(axis=1)):
                if overlaps[row, column] > 0.85 and last.id[row] > 0 and now.id[column] > 0:
                    kept += last.id[row] == now.id[column]
                    changed += last.id[row] != now.id[column]
        last = now
    assert kept > 400
    assert changed / kept < 0.01


def test_only_boxes_can_be_tracked():
    with pytest.raises(DataError, match="only a detector's boxes"):
        Tracker(25.0, live=False).follow(Result(BLANK, ("a",), probs=Probs([1.0])))


def test_what_is_found_is_left_as_it_was():
    given = replace(one(100, number=7), path="a.mp4")
    tracked = Tracker(25.0, live=False).follow(given)
    assert (tracked.path, tracked.frame, tracked.image is BLANK) == ("a.mp4", given.frame, True)
    assert tracked.summary()[0] == {**given.summary()[0], "track_id": None}
