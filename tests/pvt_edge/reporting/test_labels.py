"""Names beside points cover nothing."""

import itertools

import numpy as np
import pytest

from pvt_edge.reporting import labels
from pvt_edge.reporting.labels import Label, place_labels
from pvt_edge.reporting.plots import axes_below


def place(points, names=None, **limits):
    """The figure, its axes, and those of the points' labels that found a place."""
    figure, axes = axes_below("title", "line", 4)
    axes.set(xlim=limits.get("xlim", (0, 10)), ylim=(0, 10))
    named = [Label(x, y, names[i] if names else f"point {i}", 4) for i, (x, y) in enumerate(points)]
    front = axes.plot([0, 10], [5, 5])
    words = axes.text(8, 8, "some words")
    placed = place_labels(figure, axes, named, lines=front, texts=[words])
    return figure, axes, words, placed


def boxes(axes, placed):
    texts = {text.get_text(): text for text in axes.texts}
    return [texts[label.text].get_window_extent() for label in placed]


SPREAD = [(float(x), float(y)) for x, y in np.random.default_rng(0).uniform(1, 9, (20, 2))]
PILE = [(3.0 + i * 0.01, 3.0) for i in range(8)]
SAME = [(3.0, 3.0)] * 5
FRONT = [(float(x), 5.0) for x in (2, 4, 6, 8)]
RIM = [(0.0, 0.0), (10.0, 10.0), (0.0, 10.0), (10.0, 0.0)]


@pytest.mark.parametrize("points", [[], SPREAD, PILE, SAME, FRONT, RIM])
def test_names_cover_nothing(points):
    _, axes, words, placed = place(points)
    found = [*boxes(axes, placed), words.get_window_extent()]
    for a, b in itertools.combinations(found, 2):
        assert not a.overlaps(b)
    for box in found[:-1]:
        assert axes.bbox.fully_containsx(box.x0) and axes.bbox.fully_containsx(box.x1)
        assert axes.bbox.fully_containsy(box.y0) and axes.bbox.fully_containsy(box.y1)
        assert not box.y0 < axes.transData.transform((0, 5))[1] < box.y1  # the line that was to be kept off
        for point in points:
            assert not box.contains(*axes.transData.transform(point))
    assert len(placed) >= len(points) * 0.6


def test_a_free_point_has_its_name_beside_it():
    _, axes, _, placed = place([(2, 2)])
    (box,) = boxes(axes, placed)
    x, y = axes.transData.transform((2, 2))
    assert 0 < box.x0 - x < 25
    assert abs((box.y0 + box.y1) / 2 - y) < 3
    assert len(axes.lines) == 1  # no line is needed


def test_a_name_away_from_its_point_is_joined_to_it():
    _, axes, _, placed = place(PILE)
    joints = axes.lines[1:]
    assert joints
    for joint in joints:
        ends = joint.get_xydata()
        distances = [np.hypot(*(ends[0] - axes.transData.transform(point))) for point in PILE]
        assert min(distances) < 20
    assert len(placed) > 4


def test_the_first_take_the_nearest_places():
    _, _, _, placed = place([(3.0, 3.0)] * 40)
    numbers = [int(label.text.split()[1]) for label in placed]
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    assert len(numbers) < 40


ROW = [17.8, 20.5, 23.4, 25.5, 35.9, 40.8, 50.4, 67.3, 67.8, 77.4, 85.0]
NAMES = [f"stock runtime fp{i:02}" for i in range(len(ROW))]


def test_in_a_crowd_another_order_has_room_for_all(monkeypatch):
    points = [(x / 10, 7.0) for x in ROW]
    monkeypatch.setattr(labels, "_TRIES", 0)
    assert len(place(points, NAMES)[-1]) < len(ROW)
    monkeypatch.undo()
    _, axes, _, placed = place(points, NAMES)
    assert [label.text for label in placed] == NAMES
    for a, b in itertools.combinations(boxes(axes, placed), 2):
        assert not a.overlaps(b)


def test_a_name_too_long_for_any_place():
    _, axes, _, placed = place([(5, 2), (5, 4)], ["x" * 400, "short"])
    assert [label.text for label in placed] == ["short"]
    assert [text.get_text() for text in axes.texts] == ["some words", "short"]
