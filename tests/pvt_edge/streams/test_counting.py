"""Counts on lines and zones, against boxes whose ways are written out."""

import logging

import numpy as np
import pytest

from pvt_edge.errors import DataError
from pvt_edge.results import Boxes, FrameInfo, Result, StreamInfo
from pvt_edge.streams.counting import FORGET, LineCounter, ObjectCounter, ZoneCounter
from pvt_edge.streams.following import follower

SIDE = 20
ACROSS = ((0, 100), (200, 100))  # from left to right: in is downwards
TRIANGLE = ((50, 50), (150, 50), (100, 150))


def boxes(*places):
    """A box 20 pixels wide around each (track, x, y)."""
    xyxy = [[x - SIDE / 2, y - SIDE / 2, x + SIDE / 2, y + SIDE / 2] for _, x, y in places]
    n = len(places)
    return Boxes(np.reshape(xyxy, (n, 4)), np.full(n, 0.9), np.zeros(n), [track for track, _, _ in places])


def count(counter, *frames):
    """The last counts after frames, each a list of (track, x, y)."""
    return dict([counter.update(boxes(*frame)).counts for frame in frames][-1])


def way(track, *points):
    return [[(track, x, y)] for x, y in points]


LINES = {
    "nobody": ([[]], (0, 0)),
    "one who stays": (way(1, (100, 80), (100, 80)), (0, 0)),
    "down": (way(1, (100, 80), (100, 95), (100, 105), (100, 120)), (1, 0)),
    "up": (way(1, (100, 120), (100, 80)), (0, 1)),
    "down and up again": (way(1, (100, 80), (100, 120), (100, 80)), (1, 1)),
    "there from the start": (way(1, (100, 120), (100, 140)), (0, 0)),
    "past the line's end": (way(1, (220, 80), (220, 120)), (0, 0)),
    "along the line and over its end": (way(1, (150, 90), (250, 90), (250, 110), (150, 110)), (0, 0)),
    "fast, from far to far": (way(1, (10, 0), (190, 200)), (1, 0)),
    "hidden while it crosses": ([[(1, 100, 80)], *[[]] * 30, [(1, 100, 120)]], (1, 0)),
    "trembling on the line": (way(1, (100, 80), *[(100, 100.5), (100, 99.5)] * 20), (0, 0)),
    "trembling, then over": (way(1, (100, 80), *[(100, 100.5), (100, 99.5)] * 20, (100, 103)), (1, 0)),
    "through the line exactly": (way(1, (100, 98), (100, 100), (100, 102)), (1, 0)),
    "two who pass each other": ([[(1, 50, 80), (2, 150, 120)], [(1, 50, 120), (2, 150, 80)]], (1, 1)),
    "two who take turns with one track each": ([[(1, 50, 80)], [(2, 50, 120)]], (0, 0)),
    "a track that is not sure": ([[(-1, 100, 80)], [(-1, 100, 120)]], (0, 0)),
}


@pytest.mark.parametrize(("frames", "counts"), LINES.values(), ids=LINES)
def test_lines(frames, counts):
    assert count(LineCounter("line 1", ACROSS), *frames) == {"in": counts[0], "out": counts[1]}


@pytest.mark.parametrize(
    ("points", "goes"),
    [
        (((0, 100), (200, 100)), ((100, 80), (100, 120))),
        (((200, 100), (0, 100)), ((100, 120), (100, 80))),
        (((100, 0), (100, 200)), ((120, 100), (80, 100))),
        (((0, 0), (200, 200)), ((120, 80), (80, 120))),
    ],
    ids=["to the right", "to the left", "down", "aslant"],
)
def test_in_is_from_the_left_to_the_right_of_who_walks_the_line(points, goes):
    assert count(LineCounter("line 1", points), *way(1, *goes)) == {"in": 1, "out": 0}
    assert count(LineCounter("line 1", points), *way(1, *reversed(goes))) == {"in": 0, "out": 1}


ZONES = {
    "nobody": ([[]], (0, 0)),
    "one who is inside": (way(1, (100, 80)), (1, 1)),
    "one who passes through": (way(1, (10, 80), (100, 80), (190, 80)), (0, 1)),
    "in, out and in again": (way(1, (100, 80), (10, 80), (100, 80)), (1, 2)),
    "hidden inside": ([[(1, 100, 80)], *[[]] * 30, [(1, 100, 90)]], (1, 1)),
    "only its box reaches in": (way(1, (45, 45)), (0, 0)),
    "in a corner of the rectangle around": (way(1, (55, 145)), (0, 0)),
    "trembling on the edge": (way(1, (100, 60), *[(100, 49.5), (100, 50.5)] * 20), (1, 1)),
    "two": ([[(1, 90, 80), (2, 110, 80)], [(1, 90, 80)]], (1, 2)),
    "a track that is not sure": (way(-1, (100, 80)), (0, 0)),
}


@pytest.mark.parametrize(("frames", "counts"), ZONES.values(), ids=ZONES)
def test_zones(frames, counts):
    assert count(ZoneCounter("zone 1", TRIANGLE), *frames) == {"inside": counts[0], "entered": counts[1]}


@pytest.mark.parametrize("counter", [LineCounter("line 1", ACROSS), ZoneCounter("zone 1", TRIANGLE)])
def test_what_is_remembered_does_not_grow(counter):
    for track in range(3 * FORGET):
        counter.update(boxes((track, 100, 80)))
    (memory,) = [value for value in vars(counter).values() if hasattr(value, "end_update")]
    assert len(memory._seen) <= 2 * FORGET


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        (LineCounter, ((1, 2), (1, 2))),
        (LineCounter, ((1, 2), (3, 4), (5, 6))),
        (ZoneCounter, ((1, 2), (3, 4))),
        (ZoneCounter, ((1, 2), (3, 4), (1, 2))),
    ],
)
def test_points_that_make_no_line_or_zone_are_refused(kind, points):
    with pytest.raises(DataError, match=r"here needs (two|three) different points .*not 1,2,"):
        kind("here", points)


def test_a_zone_without_an_inside_is_refused():
    with pytest.raises(DataError, match="here has no inside: its points 1,1,2,2,3,3 lie on one line"):
        ZoneCounter("here", ((1, 1), (2, 2), (3, 3)))
    ZoneCounter("a bow", ((0, 0), (10, 10), (10, 0), (0, 10)))


class Clip:
    """What the follower asks of a source."""

    name, fps, live = "clip", 25.0, False


def moving_boxes(frames=60):
    """Eight boxes that go down and three that go up, each in a column of its own; two stop before the line."""
    goes = [(30 + 50 * i, 20 + 3 * i, 2.5) for i in range(8)] + [(430 + 50 * i, 220 - 3 * i, -2.5) for i in range(3)]
    stop = [(580, 20, 1.0), (620, 220, -1.0)]  # 60 frames take these 60 pixels: not to y = 120
    for frame in range(frames):
        middle = [(x, y + frame * v) for x, y, v in goes + stop]
        found = np.array([[x - 15, y - 15, x + 15, y + 15] for x, y in middle], float)
        order = np.random.default_rng(frame).permutation(len(found))
        seen = [i for i in order if (frame + i) % 9]  # each is missed in every ninth frame
        yield Boxes(found[seen], np.full(len(seen), 0.9), np.zeros(len(seen))), len(found)


def test_tracked_boxes_are_counted_as_they_truly_went():
    zone = ((0, 100), (640, 100), (640, 140), (0, 140))
    follow = follower(lines=[((0, 120), (640, 120))], zones=[zone])(Clip)
    blank = np.zeros((240, 640, 3), np.uint8)
    for found, _ in moving_boxes():
        result = follow(Result(blank, ("cell",), boxes=found))
    line, inside = result.counters
    assert (line.name, dict(line.counts)) == ("line 1", {"in": 8, "out": 3})
    assert (inside.name, inside.counts["entered"]) == ("zone 1", 11)
    assert '"counts": {"line 1": {"in": 8, "out": 3}, "zone 1"' in result.to_json()


def test_a_line_outside_the_picture_is_told_once(caplog):
    follow = follower(lines=[((0, 900), (640, 900)), ((0, 10), (640, 10))])(Clip)
    with caplog.at_level(logging.WARNING, "pvt_edge.streams"):
        for _ in range(3):
            follow(Result(np.zeros((240, 640, 3), np.uint8), ("cell",), boxes=boxes()))
    assert [record.message for record in caplog.records] == ["clip: line 1 lies outside the picture of 640x240 pixels"]


def tracked_result(tracks, classes, stream=0):
    n = len(tracks)
    boxes = Boxes(np.tile([1, 1, 9, 9], (n, 1)), np.full(n, 0.5), classes, tracks)
    frame = FrameInfo(stream=StreamInfo(stream, "camera"))
    return Result(np.zeros((10, 10, 3), np.uint8), ("cat", "dog"), boxes=boxes, frame=frame)


def test_no_results_have_no_objects():
    assert ObjectCounter().counts() == {}


@pytest.mark.parametrize(
    ("results", "counts"),
    [
        ([([], [])], {}),
        ([([-1], [0])], {}),  # not yet sure
        ([([1, 2], [0, 1])] * 300, {"cat": 1, "dog": 1}),
        ([([1], [0]), ([2], [0]), ([1, 3], [0, 0])], {"cat": 3}),
        ([([1], [0]), ([1], [1]), ([1], [1])], {"dog": 1}),  # as it was most often
        ([([1], [0], 0), ([1], [0], 1)], {"cat": 2}),  # of two cameras
        ([([1], [0])] + [([2], [1])] * (3 * FORGET), {"cat": 1, "dog": 1}),  # also what was long gone
    ],
)
def test_objects_count_once(results, counts):
    counter = ObjectCounter()
    for result in results:
        counter.add(tracked_result(*result))
    assert counter.counts() == counts


def test_a_camera_of_weeks_fills_no_memory():
    counter = ObjectCounter()
    for track in range(5 * FORGET):
        counter.add(tracked_result([track], [track % 2]))
    assert len(counter._boxes) <= 2 * FORGET
    assert counter.counts() == {"cat": 2.5 * FORGET, "dog": 2.5 * FORGET}
