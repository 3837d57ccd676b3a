"""Heat maps and traces: what they paint, where, and what they leave alone."""

import numpy as np
import pytest

pytest.importorskip("supervision", reason="supervision is not installed")

from pvt_edge.errors import DataError
from pvt_edge.results import Boxes, Probs, Result
from pvt_edge.streams.following import Painter

GREY = np.full((160, 320, 3), 128, np.uint8)


def result(x, track=None, image=GREY):
    """A box of 20x20 pixels around (x, 80)."""
    return Result(image, ("a",), Boxes([[x - 10, 70, x + 10, 90]], [0.9], [0], None if track is None else [track]))


def painted(given):
    """Where the canvas differs from the picture (H, W)."""
    return (given.canvas != given.image).any(axis=2)


def test_a_heat_map_is_warmest_where_objects_were_longest():
    painter = Painter(25.0, heat_map=True, trace=False)
    first = painter.follow(result(50))
    assert painted(first)[80, 50]
    assert not painted(first)[80, 250]
    for x in (50, 50, 50, 50, 250):
        last = painter.follow(result(x))
    warm, cool = last.canvas[80, 50].astype(int), last.canvas[80, 250].astype(int)
    assert warm[2] > warm[0]  # red
    assert cool[0] > cool[2]  # blue
    assert (GREY == 128).all()  # nobody paints on the camera's own picture


def test_a_trace_follows_an_object_and_forgets():
    painter = Painter(5.0, heat_map=False, trace=True)  # ten frames
    assert not painted(painter.follow(result(20, -1))).any()  # not yet sure
    for x in range(30, 130, 10):
        last = painter.follow(result(x, 1))
    assert painted(last)[80, 40:115].all()
    assert tuple(last.canvas[80, 60]) == (52, 52, 235)  # the class's colour
    for _ in range(12):
        last = painter.follow(result(120, 1))
    assert not painted(last)[80, 40:80].any()


def test_boxes_are_drawn_above_and_results_stay_what_they_are():
    given = result(50, 1)
    after = Painter(25.0, heat_map=True, trace=True).follow(given)
    assert after.image is given.image
    assert after.to_json() == given.to_json()
    assert not np.array_equal(after.plot(), given.plot())
    assert tuple(after.plot()[90, 45]) == tuple(given.plot()[90, 45])  # the box's line


def test_a_camera_that_changes_its_size_begins_anew():
    painter = Painter(None, heat_map=True, trace=True)
    painter.follow(result(50, 1))
    small = painter.follow(result(50, 1, GREY[:100, :200]))
    assert small.canvas.shape == (100, 200, 3)


def test_what_has_no_boxes_is_refused():
    with pytest.raises(DataError, match="a detector's boxes"):
        Painter(25.0, heat_map=True, trace=False).follow(Result(GREY, ("a",), probs=Probs([1.0])))


def test_the_command(pvt_edge_command, cells_bundle, tmp_path):
    run = ("predict", str(cells_bundle), "synthetic://cells?frames=3", "--runtime", "openvino", "--save")
    done = pvt_edge_command(*run, str(tmp_path / "plain.mp4"), "--heat-map")
    assert done.returncode == 0, done.stderr
    assert "--track counts objects" in done.stdout + done.stderr  # not tracked
    done = pvt_edge_command(*run, str(tmp_path / "traced.mp4"), "--heat-map", "--trace")
    assert done.returncode == 0, done.stderr
    assert "objects in" in done.stdout + done.stderr
