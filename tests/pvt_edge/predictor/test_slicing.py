"""Large pictures in tiles: where the tiles lie, what becomes of what their borders cut, and real calls."""

import json

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed")

import cv2

import pvt_edge
from pvt_edge.errors import ArgumentError, RuntimeInputError
from pvt_edge.postprocessing import Thresholds
from pvt_edge.predictor.slicing import Slicing, choose_slicing, merge, windows_of
from pvt_edge.results.fields import Boxes
from pvt_edge.scenes import draw_scene
from pvt_edge.tasks import get_task

LOOSE = Thresholds(0.1, 0.5, 100)


@pytest.mark.parametrize(
    ("image_hw", "slicing", "windows"),
    [
        ((480, 640), Slicing((480, 640)), [(0, 0, 640, 480)]),  # no larger than a tile: once
        ((100, 90), Slicing((480, 640)), [(0, 0, 90, 100)]),
        ((100, 200), Slicing((100, 100), 0.0), [(0, 0, 100, 100), (100, 0, 200, 100)]),
        ((100, 201), Slicing((100, 100), 0.0), [(0, 0, 100, 100), (50, 0, 150, 100), (101, 0, 201, 100)]),
        ((60, 180), Slicing((100, 100), 0.2), [(0, 0, 100, 60), (80, 0, 180, 60)]),  # one row
        ((180, 100), Slicing((100, 100), 0.2, True), [(0, 0, 100, 100), (0, 80, 100, 180), (0, 0, 100, 180)]),
    ],
)
def test_where_the_tiles_lie(image_hw, slicing, windows):
    assert windows_of(image_hw, slicing) == windows


@pytest.mark.parametrize("seed", range(20))
def test_tiles_cover_the_picture_and_overlap_enough(seed):
    rng = np.random.default_rng(seed)
    hw, tile = rng.integers(100, 3000, 2).tolist(), rng.integers(32, 700, 2).tolist()
    overlap = round(float(rng.random()) * 0.9, 2)
    windows = np.array(windows_of(tuple(hw), Slicing(tuple(tile), overlap)))
    assert (windows[:, :2] >= 0).all() and (windows[:, 2:] <= hw[::-1]).all()
    for axis in (0, 1):
        starts, ends = np.unique(windows[:, axis]), np.unique(windows[:, axis + 2])
        assert (starts[0], ends[-1]) == (0, hw[1 - axis])
        assert (ends[:-1] - starts[1:] >= int(tile[1 - axis] * overlap) - 1).all()
        assert set(ends - starts) == {min(tile[1 - axis], hw[1 - axis])}


# Two tiles of 100x100 side by side that share the pixels 80 to 100, and the whole frame.
PAIR, WHOLE = [(0, 0, 100, 100), (80, 0, 180, 100)], [(0, 0, 100, 100), (80, 0, 180, 100), (0, 0, 180, 100)]
NOTHING = ()


def joined(windows, *found):
    """The boxes (x0, y0, x1, y1, score, class), sorted, of what each window found in its own pixels."""
    rows = [np.array(each, float).reshape(-1, 6) for each in found]
    boxes = merge(windows, [Boxes(r[:, :4], r[:, 4], r[:, 5]) for r in rows], LOOSE)
    return sorted((*map(round, xyxy), round(c, 2), k) for xyxy, c, k in zip(
        boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("windows", "found", "want"),
    [
        (PAIR, (NOTHING, NOTHING), []),
        # apart from borders
        (PAIR, ([(10, 10, 30, 30, 0.9, 0)], [(50, 10, 70, 30, 0.8, 0)]),
         [(10, 10, 30, 30, 0.9, 0), (130, 10, 150, 30, 0.8, 0)]),
        # both see all of it: once, the surer
        (PAIR, ([(84, 10, 96, 30, 0.6, 0)], [(4, 10, 16, 30, 0.9, 0)]), [(84, 10, 96, 30, 0.9, 0)]),
        # it fills the overlap, so that each takes it for cut
        (PAIR, ([(80, 10, 100, 30, 0.6, 0)], [(1, 10, 20, 30, 0.9, 0)]), [(80, 10, 100, 30, 0.9, 0)]),
        (PAIR, ([(80, 10, 100, 30, 0.6, 0)], [(4, 10, 20, 30, 0.9, 0)]), [(84, 10, 100, 30, 0.9, 0)]),
        # the left sees a part that lies in the overlap: the right sees all
        (PAIR, ([(90, 10, 100, 30, 0.95, 0)], [(10, 10, 40, 30, 0.5, 0)]), [(90, 10, 120, 30, 0.5, 0)]),
        # and where the right finds nothing, there is nothing
        (PAIR, ([(90, 10, 100, 30, 0.95, 0)], NOTHING), []),
        # larger than the overlap: two halves are one
        (PAIR, ([(50, 10, 100, 40, 0.7, 1)], [(0, 12, 60, 40, 0.9, 1)]), [(50, 10, 140, 40, 0.9, 1)]),
        # of two classes, or not at the same height, they are not
        (PAIR, ([(50, 10, 100, 40, 0.7, 1)], [(0, 10, 60, 40, 0.9, 0)]),
         [(50, 10, 100, 40, 0.7, 1), (80, 10, 140, 40, 0.9, 0)]),
        (PAIR, ([(50, 10, 100, 40, 0.7, 1)], [(0, 50, 60, 90, 0.9, 1)]),
         [(50, 10, 100, 40, 0.7, 1), (80, 50, 140, 90, 0.9, 1)]),
        # the whole frame has it, of the halves one was found
        (WHOLE, ([(50, 10, 100, 40, 0.9, 1)], NOTHING, [(50, 10, 140, 40, 0.4, 1)]), [(50, 10, 140, 40, 0.4, 1)]),
        # smaller than the overlap: a tile sees it whole, and larger than the whole frame does
        (WHOLE, (NOTHING, NOTHING, [(50, 10, 65, 40, 0.9, 1)]), []),
        (WHOLE, (NOTHING, NOTHING, [(50, 10, 75, 40, 0.9, 1)]), [(50, 10, 75, 40, 0.9, 1)]),
        # the whole frame is no neighbour: what it does not find is not taken away
        (WHOLE, ([(50, 10, 100, 40, 0.9, 1)], NOTHING, NOTHING), [(50, 10, 100, 40, 0.9, 1)]),
        # the picture's own border cuts nothing
        (PAIR, ([(0, 0, 20, 20, 0.9, 0)], [(90, 80, 100, 100, 0.9, 0)]),
         [(0, 0, 20, 20, 0.9, 0), (170, 80, 180, 100, 0.9, 0)]),
        # below the threshold
        (PAIR, ([(10, 10, 30, 30, 0.1, 0)], NOTHING), []),
    ],
)  # fmt: skip
def test_what_a_border_cuts(windows, found, want):
    assert joined(windows, *found) == want


def test_an_object_over_four_tiles_is_one():
    windows = windows_of((180, 180), Slicing((100, 100), 0.2))
    halves = [(40, 40, 100, 100), (0, 40, 60, 100), (40, 0, 100, 60), (0, 0, 60, 60)]
    found = [[(*box, 0.5 + i / 10, 2)] for i, box in enumerate(halves)]
    assert joined(windows, *found) == [(40, 40, 140, 140, 0.8, 2)]


def test_an_object_over_three_tiles_is_one():
    windows = windows_of((50, 260), Slicing((50, 100), 0.2))
    found = [[(50, 10, 100, 40, 0.5, 0)], [(0, 10, 100, 40, 0.6, 0)], [(0, 10, 30, 40, 0.7, 0)]]
    assert joined(windows, *found) == [(50, 10, 190, 40, 0.7, 0)]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"slice": 16}, "32 pixels or more"),
        ({"slice": "640"}, r"slice must be \(height, width\) in pixels"),
        ({"slice": (480, 640, 3)}, "in pixels"),
        ({"slice": 640, "overlap": 1.0}, "0 to 0.9"),
        ({"slice": 640, "overlap": "0.2"}, "overlap must be a number"),
        ({"slice": 640, "whole_frame": 1}, "True or False"),
        ({"overlap": 0.2}, "give slice too"),
        ({"whole_frame": True}, "give slice too"),
    ],
    ids=str,
)
def test_options_that_cannot_be(options, error):
    with pytest.raises(ArgumentError, match=error):
        choose_slicing(get_task("detect"), **options)


def test_only_detectors_are_sliced():
    with pytest.raises(RuntimeInputError, match="slice is for detectors, this bundle's task is classify"):
        choose_slicing(get_task("classify"), slice=640)
    assert choose_slicing(get_task("classify")) is None


@pytest.fixture(scope="module")
def slide():
    """Two scenes side by side, a third of which is nothing, 480x1600 pixels."""
    scenes = [draw_scene(seed).image for seed in (1, 2)]
    return np.concatenate((scenes[0], np.full((480, 320, 3), 220, np.uint8), scenes[1]), axis=1)


def test_calls_and_streams(cells_bundle, slide, tmp_path):
    cv2.imwrite(str(tmp_path / "slide.png"), slide)
    options = {"slice": (480, 640), "overlap": 0.2}
    with pvt_edge.load(cells_bundle, "openvino", precision="fp32") as predictor:
        once, sliced = predictor(slide), predictor(slide, **options)
        assert len(sliced.boxes) > 1.5 * len(once.boxes)
        alone = [predictor(slide[:, x : x + 640]) for x in (0, 960)]
        assert len(sliced.boxes) == pytest.approx(sum(len(result.boxes) for result in alone), abs=3)
        assert sliced.boxes.xyxy[:, 2].max() > 1500
        assert predictor(slide, slice=1600).boxes.xyxy.tolist() == once.boxes.xyxy.tolist()  # no larger than a tile
        (streamed,) = predictor.stream(tmp_path / "slide.png", track=True, **options)
        assert streamed.boxes.xyxy.tolist() == sliced.boxes.xyxy.tolist()
        assert streamed.boxes.id is not None
        (listed,) = predictor([slide], **options)
        assert listed.boxes.xyxy.tolist() == sliced.boxes.xyxy.tolist()
        assert len(predictor(slide, max_det=3, **options).boxes) == 3
        with pytest.raises(ArgumentError, match="did you mean 'overlap'"):
            predictor(slide, slice=640, overlapp=0.2)


def test_the_commands(pvt_edge_command, cells_bundle, slide, tmp_path):
    cv2.imwrite(str(tmp_path / "slide.png"), slide)
    chosen = ("--runtime", "openvino", "--slice", "480,640", "--overlap", "0.25", "--whole-frame", "--json", "-")
    done = pvt_edge_command("predict", str(cells_bundle), str(tmp_path / "slide.png"), *chosen)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["predictions"]
    boxes = [{"image_id": 1, "category_id": row["class"] + 1, "bbox": [
        row["box"]["x1"], row["box"]["y1"], row["box"]["x2"] - row["box"]["x1"], row["box"]["y2"] - row["box"]["y1"]
    ]} for row in rows]  # fmt: skip
    content = {"images": [{"id": 1, "file_name": "slide.png"}], "annotations": boxes}
    content["categories"] = [{"id": i + 1, "name": name} for i, name in enumerate(("RBC", "WBC", "Platelets"))]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    done = pvt_edge_command("val", str(cells_bundle), "--data", str(tmp_path / "instances.json"), *chosen)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"][0]["figures"]["AP"] > 0.99  # what predict found is what val finds
    assert found["slicing"] == {"tile_hw": [480, 640], "overlap": 0.25, "whole_frame": True}
    assert "in tiles of 640x480 pixels that overlap by 0.25 and the whole frame" in done.stderr
    wrong = pvt_edge_command("predict", str(cells_bundle), str(tmp_path / "slide.png"), "--slice", "a lot")
    assert (wrong.returncode, "--slice" in wrong.stderr) == (2, True)
