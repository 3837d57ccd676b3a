"""The record of one picture: rows, JSON, files, supervision; pictures with nothing in them first."""

import json
import sys

import cv2
import numpy as np
import pytest

from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.results import Boxes, FrameInfo, Probs, Result

NAMES = ("RBC", "WBC", "Platelets")
IMAGE = np.full((60, 80, 3), 200, np.uint8)
NO_BOXES = Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
BOXES = Boxes([[1, 2, 30, 40], [10.126, 20, 50, 60]], [0.9, 0.5], [2, 0])


def result(**fields):
    return Result(IMAGE, NAMES, **fields)


def test_nothing_found():
    nothing = result(boxes=NO_BOXES)
    assert len(nothing.boxes) == 0
    assert nothing.boxes.xyxy.shape == (0, 4)
    assert nothing.summary() == []
    assert json.loads(nothing.to_json())["predictions"] == []
    assert np.array_equal(nothing.plot(), IMAGE)
    assert list(nothing.boxes) == []
    assert bool(nothing)


def test_nothing_found_in_supervision():
    pytest.importorskip("supervision")
    detections = result(boxes=NO_BOXES).to_supervision()
    assert len(detections) == 0
    assert detections.data["class_name"].tolist() == []


def test_summary_rows_are_those_ultralytics_users_expect():
    assert result(boxes=BOXES).summary() == [
        {
            "name": "Platelets",
            "class": 2,
            "confidence": 0.9,
            "box": {"x1": 1.0, "y1": 2.0, "x2": 30.0, "y2": 40.0},
        },
        {
            "name": "RBC",
            "class": 0,
            "confidence": 0.5,
            "box": {"x1": 10.13, "y1": 20.0, "x2": 50.0, "y2": 60.0},
        },
    ]


def test_names_may_be_a_dict():
    assert Result(IMAGE, {0: "zero", 2: "two"}, boxes=BOXES).summary()[0]["name"] == "two"


def test_json_is_one_line_with_everything():
    line = result(
        boxes=BOXES[:1],
        path="bilder/zähler.png",
        speed={"preprocess": 1.23456, "inference": 20.0, "postprocess": 0.5},
        frame=FrameInfo(7, 1700000000.25, 31.0),
    ).to_json()
    assert "\n" not in line
    assert json.loads(line) == {
        "path": "bilder/zähler.png",
        "frame": {"id": 7, "captured_at": 1700000000.25, "age_ms": 31.0, "video_s": None},
        "orig_hw": [60, 80],
        "speed": {"preprocess": 1.235, "inference": 20.0, "postprocess": 0.5},
        "predictions": [
            {
                "name": "Platelets",
                "class": 2,
                "confidence": 0.9,
                "box": {"x1": 1, "y1": 2, "x2": 30, "y2": 40},
            }
        ],
    }


@pytest.mark.parametrize(
    ("index", "conf"),
    [
        (0, [0.9]),
        (-1, [0.5]),
        (slice(1, None), [0.5]),
        ([1, 0], [0.5, 0.9]),
        (BOXES.conf > 0.6, [0.9]),
        ([], []),
    ],
)
def test_boxes_are_indexed_to_boxes(index, conf):
    some = BOXES[index]
    assert isinstance(some, Boxes)
    np.testing.assert_allclose(some.conf, conf)
    assert some.xyxy.shape == (len(conf), 4)
    assert (some.xyxy.dtype, some.conf.dtype, some.cls.dtype) == (np.float32, np.float32, np.int64)


def test_boxes_are_iterated_and_end():
    assert [box.cls.tolist() for box in BOXES] == [[2], [0]]
    with pytest.raises(IndexError):
        BOXES[2]


@pytest.mark.parametrize(
    ("shares", "top1", "top5"),
    [
        ([1.0], 0, (0,)),
        ([0.2, 0.5, 0.3], 1, (1, 2, 0)),
        ([0.05, 0.3, 0.1, 0.1, 0.2, 0.2, 0.05], 1, (1, 4, 5, 2, 3)),
    ],
)
def test_best_classes(shares, top1, top5):
    probs = Probs(shares)
    assert (probs.top1, probs.top5) == (top1, top5)
    assert probs.top1conf == pytest.approx(shares[top1])
    np.testing.assert_allclose(probs.top5conf, [shares[i] for i in top5])


def test_a_classification_gives_its_best_rows():
    classified = result(probs=Probs([0.25, 0.75, 0.0]))
    assert classified.summary() == [
        {"name": "WBC", "class": 1, "confidence": 0.75},
        {"name": "RBC", "class": 0, "confidence": 0.25},
        {"name": "Platelets", "class": 2, "confidence": 0.0},
    ]
    assert not np.array_equal(classified.plot(), IMAGE)


def test_feature_maps_give_their_shapes():
    maps = result(features={"stage1": np.zeros((32, 15, 20), np.float32)})
    assert maps.summary() == [{"name": "stage1", "shape": [32, 15, 20]}]
    assert np.array_equal(maps.plot(), IMAGE)


def test_the_picture_is_kept_and_plotting_copies_it():
    before = IMAGE.copy()
    drawn = result(boxes=BOXES)
    assert drawn.image is IMAGE
    assert drawn.orig_hw == (60, 80)
    assert not np.array_equal(drawn.plot(), IMAGE)
    assert np.array_equal(IMAGE, before)


def test_a_mask_is_blended():
    mask = np.full((60, 80), -1, np.int64)
    mask[:30] = 1
    drawn = result(mask=mask).plot()
    assert np.array_equal(drawn[30:], IMAGE[30:])
    assert (drawn[:30] != IMAGE[:30]).any(axis=-1).all()


def test_a_result_is_frozen():
    with pytest.raises(AttributeError):
        result(boxes=NO_BOXES).path = "other.jpg"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"boxes": Boxes([[0, 0, 1, 1]], [0.5], [3])}, r"without a name: \[3\]; 3 names"),
        ({"boxes": Boxes([[0, 0, 1, 1]], [0.5], [-1])}, r"without a name: \[-1\]"),
        ({"probs": Probs([0.25] * 4)}, r"without a name: \[3\]"),
        ({"mask": np.zeros((60, 60), np.int64)}, r"mask is \(60, 60\), the image \(60, 80\)"),
        ({"speed": {"inference": 1.0}}, "speed needs preprocess, inference, postprocess"),
        ({"image": IMAGE[..., 0]}, r"\(60, 80\) uint8"),
        ({"image": IMAGE.astype(np.float32)}, "float32"),
    ],
)
def test_what_does_not_fit_is_refused(fields, words):
    with pytest.raises(DataError, match=words):
        Result(**({"image": IMAGE, "names": NAMES} | fields))


@pytest.mark.parametrize(
    "arrays",
    [
        (np.zeros((2, 3)), np.zeros(2), np.zeros(2)),
        (np.zeros((2, 4)), np.zeros(1), np.zeros(2)),
        (np.zeros((2, 4)), np.zeros(2), np.zeros((2, 1))),
        (np.zeros(4), np.zeros(1), np.zeros(1)),
    ],
)
def test_boxes_whose_shapes_differ_are_refused(arrays):
    with pytest.raises(DataError, match="boxes need xyxy"):
        Boxes(*arrays)


@pytest.mark.parametrize("shares", [[], [[0.5, 0.5]]])
def test_shares_of_no_class_are_refused(shares):
    with pytest.raises(DataError, match="class shares"):
        Probs(shares)


def test_save_writes_what_plot_draws(tmp_path):
    drawn = result(boxes=BOXES)
    path = drawn.save(tmp_path / "new" / "drawn.png")
    assert np.array_equal(cv2.imread(str(path)), drawn.plot())


def test_save_refuses_an_unknown_suffix(tmp_path):
    with pytest.raises(DataError, match=r"suffix must be one of .jpg"):
        result(boxes=BOXES).save(tmp_path / "drawn.xyz")


def test_supervision_gets_the_boxes():
    pytest.importorskip("supervision")
    detections = result(boxes=BOXES).to_supervision()
    assert np.array_equal(detections.xyxy, BOXES.xyxy)
    assert np.array_equal(detections.confidence, BOXES.conf)
    assert detections.class_id.tolist() == [2, 0]
    assert detections.data["class_name"].tolist() == ["Platelets", "RBC"]


def test_without_supervision_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)  # makes its import fail, as where it is not installed
    with pytest.raises(RuntimeMissingError, match=r'pip install "pvt-edge\[supervision\]"'):
        result(boxes=BOXES).to_supervision()


def test_a_classification_is_nothing_for_supervision():
    with pytest.raises(DataError, match="detector"):
        result(probs=Probs([1.0, 0.0, 0.0])).to_supervision()
