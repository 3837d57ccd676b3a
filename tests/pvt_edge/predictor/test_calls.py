"""Predictors called with pictures: on a runtime that finds plain-coloured areas."""

import io
import json

import cv2
import numpy as np
import pytest

from pvt_edge.bundle.reader import Bundle
from pvt_edge.bundle.schema import InputSpec, PostprocessSpec
from pvt_edge.errors import ArgumentError, BundleError, DataError, PictureWarning, RuntimeInputError, UnknownNameError
from pvt_edge.predictor import Predictor
from pvt_edge.predictor.predictor import MAX_BATCH
from pvt_edge.results import Result
from pvt_edge.runtimes import Runtime

from .finder import INPUT_HW, LABELS, TWO, ColourFinder, manifest, picture, predictor_for


def test_the_finder_keeps_the_protocol():
    assert isinstance(ColourFinder(), Runtime)


def test_a_picture_with_nothing_in_it(tmp_path):
    result = predictor_for(tmp_path)(picture())
    assert isinstance(result, Result)
    assert len(result.boxes) == 0
    assert result.summary() == []


def test_no_pictures_give_no_results(tmp_path):
    predictor = predictor_for(tmp_path)
    assert predictor([]) == []
    assert predictor.runtime.batches == []


@pytest.mark.parametrize("hw", [(480, 640), (640, 480), (481, 1279), (160, 160), (100, 90)])
def test_boxes_lie_where_the_areas_are(tmp_path, hw):
    height, width = hw
    areas = [
        (0, width // 8, height // 8, width // 2, height // 2),
        (2, width // 2, height // 2, width - 5, height - 5),
    ]
    result = predictor_for(tmp_path)(picture(*areas, hw=hw))
    assert result.boxes.cls.tolist() == [0, 2]
    np.testing.assert_allclose(result.boxes.conf, [0.9, 0.7], atol=1e-6)
    pixel = max(hw) / 160  # of the input, in pixels of the picture
    np.testing.assert_allclose(result.boxes.xyxy, [area[1:] for area in areas], atol=1.01 * pixel)
    assert result.orig_hw == hw
    assert result.names == LABELS


def test_the_runtime_gets_the_picture_itself_when_it_has_the_size(tmp_path):
    predictor, image = predictor_for(tmp_path), picture((0, 20, 20, 90, 90), hw=INPUT_HW)
    result = predictor(image)
    assert np.shares_memory(predictor.runtime.batches[0], image)
    assert result.image is image


@pytest.mark.parametrize(
    ("thresholds", "classes"),
    [
        ({}, [0, 1]),
        ({"conf": 0.8}, [0]),
        ({"conf": 0.95}, []),
        ({"max_det": 1}, [0]),
        ({"iou": 1.0}, [0, 1, 0, 1]),  # the smaller copies stay too
        ({"classes": ["green"]}, [1]),
        ({"classes": [1, "red"]}, [1]),
        ({"classes": "red"}, []),
        ({"conf": None, "iou": None, "max_det": None, "classes": None}, [0, 1]),
    ],
)
def test_thresholds_of_a_call(tmp_path, thresholds, classes):
    predictor = predictor_for(tmp_path)
    assert predictor(TWO, **thresholds).boxes.cls.tolist() == classes
    path = str(tmp_path / "two.png")
    cv2.imwrite(path, TWO)
    (result,) = predictor.stream(path, **thresholds)
    assert result.boxes.cls.tolist() == classes


def test_thresholds_of_the_bundle(tmp_path):
    strict = predictor_for(tmp_path, postprocess=PostprocessSpec(conf=0.85))
    assert strict(TWO).boxes.cls.tolist() == [0]
    assert strict(TWO, conf=0.1).boxes.cls.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("thresholds", "error"),
    [
        ({"conf": 1.1}, RuntimeInputError),
        ({"classes": ["gren"]}, UnknownNameError),
        ({"confidence": 1}, ArgumentError),
    ],
)
def test_wrong_thresholds_stop_before_anything_runs(tmp_path, thresholds, error):
    predictor = predictor_for(tmp_path)
    with pytest.raises(error):
        predictor(TWO, **thresholds)
    with pytest.raises(error):
        predictor.stream([], **thresholds)  # at once, not at the first result
    assert predictor.runtime.batches == []


@pytest.mark.parametrize(
    ("batch", "count", "sizes"),
    [
        (1, 3, [1, 1, 1]),
        (4, 3, [4]),
        (4, 8, [4, 4]),
        (4, 9, [4, 4, 4]),
        (-1, 3, [3]),
        (-1, MAX_BATCH + 2, [MAX_BATCH, 2]),
    ],
)
def test_lists_are_grouped_into_batches(tmp_path, batch, count, sizes):
    predictor = predictor_for(tmp_path, batch=batch)
    images = [picture((number % 3, 8 * number, 40, 8 * number + 120, 200)) for number in range(count)]
    results = predictor(images)
    assert [len(seen) for seen in predictor.runtime.batches] == sizes
    assert len(results) == count
    for number, result in enumerate(results):
        assert result.image is images[number]
        assert result.frame.id == number
        assert result.boxes.cls.tolist() == [number % 3]
        assert result.boxes.xyxy[0, 0] == pytest.approx(8 * number, abs=4.1)
    last = predictor.runtime.batches[-1]
    assert all(np.array_equal(row, last[(count - 1) % sizes[0]]) for row in last[(count - 1) % sizes[0] :])


@pytest.mark.parametrize(
    ("batch_range", "count", "sizes"),
    [
        ((1, 8), 1, [1]),
        ((1, 8), 18, [8, 8, 2]),
        ((4, 8), 1, [4]),  # filled up
        ((4, 8), 14, [8, 6]),
        ((4, 8), 17, [8, 8, 4]),
        ((4, 4), 5, [4, 4]),
        ((1, 64), MAX_BATCH + 1, [MAX_BATCH, 1]),
        ((32, 64), 33, [32, 32]),
    ],
)
def test_an_engine_gets_batches_of_its_profile(tmp_path, batch_range, count, sizes):
    predictor = predictor_for(tmp_path, batch=-1, batch_range=batch_range)
    assert predictor.batch == (None if batch_range[0] == 1 else batch_range[0])  # by which `verify` and `val` go
    images = [picture((number % 3, 8 * number, 40, 8 * number + 120, 200)) for number in range(count)]
    results = predictor(images)
    assert [len(seen) for seen in predictor.runtime.batches] == sizes
    assert [result.boxes.cls.tolist() for result in results] == [[number % 3] for number in range(count)]


def test_the_tiles_of_a_picture_fit_the_profile_too(tmp_path):
    predictor = predictor_for(tmp_path, batch=-1, batch_range=(4, 8))
    (box,) = predictor(picture((1, 50, 60, 110, 130)), slice=160, overlap=0.2).boxes.xyxy
    np.testing.assert_allclose(box, [50, 60, 110, 130], atol=1)
    assert [len(seen) for seen in predictor.runtime.batches] == [8, 8, 4]  # 5 times 4 tiles


def test_pictures_of_different_sizes_in_one_batch(tmp_path):
    images = [picture((0, 10, 10, 60, 60), hw=hw) for hw in ((100, 200), (200, 100), (70, 70))]
    for result in predictor_for(tmp_path, batch=-1)(images):
        np.testing.assert_allclose(result.boxes.xyxy, [[10, 10, 60, 60]], atol=1.3)


@pytest.mark.parametrize("hw", [(1, 1), (1, 2), (2, 1), (1, 640), (3, 3)])
def test_boxes_of_tiny_pictures_have_an_area_as_written(tmp_path, hw):
    predictor = predictor_for(tmp_path)
    areas = np.array([[0, 0, 80, 80], [159, 0, 160, 160], [0, 159, 160, 160], [20, 20, 21, 21]], np.float32)
    answers = (areas[None], np.full((1, 4), 0.9, np.float32), np.array([[0, 1, 2, 0]]))
    predictor.runtime._detect = lambda batch: answers
    for box in (row["box"] for row in predictor(np.zeros((*hw, 3), np.uint8)).summary()):
        assert 0 <= box["x1"] < box["x2"] <= hw[1]
        assert 0 <= box["y1"] < box["y2"] <= hw[0]


def test_grey_and_transparent_pictures_are_taken(tmp_path):
    predictor = predictor_for(tmp_path)
    assert len(predictor(np.zeros((90, 90), np.uint8)).boxes) == 0
    transparent = np.dstack((TWO, np.zeros((480, 640), np.uint8)))
    assert predictor(transparent).boxes.cls.tolist() == [0, 1]
    assert predictor(transparent).image.shape == (480, 640, 3)


def test_a_path_of_several_pages_gives_a_result_a_page(tmp_path):
    cv2.imwritemulti(str(tmp_path / "stack.tif"), [TWO, TWO, TWO])
    predictor = predictor_for(tmp_path)
    results = predictor(tmp_path / "stack.tif")
    assert [(result.frame.page, len(result.boxes)) for result in results] == [(1, 2), (2, 2), (3, 2)]
    assert json.loads(results[2].to_json())["frame"]["page"] == 3
    with pytest.warns(PictureWarning, match="of 3 pages only the first"):
        assert len(predictor([tmp_path / "stack.tif"])) == 1


def test_paths_and_arrays_in_a_list(tmp_path):
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), TWO)
    results = predictor_for(tmp_path)([str(path), TWO, path])
    assert [result.path for result in results] == [str(path), None, str(path)]
    assert len({str(result.summary()) for result in results}) == 1


def test_an_unreadable_path_in_a_list_is_an_error_since_results_align(tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(DataError, match=r"bad.png: not an image"):
        predictor_for(tmp_path)([TWO, tmp_path / "bad.png"])


def test_one_path_gives_one_result_and_what_may_hold_more_a_list(tmp_path):
    path = tmp_path / "ä b.png"
    path.write_bytes(cv2.imencode(".png", TWO)[1].tobytes())
    predictor = predictor_for(tmp_path, batch=4)
    for one in (path, str(path), path.as_uri()):
        result = predictor(one)
        assert isinstance(result, Result)
        assert result.path == str(path)
    for several in ([path], (path,), tmp_path, str(tmp_path / "*.png")):
        (result,) = predictor(several)
        assert result.boxes.cls.tolist() == [0, 1]
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(DataError, match=r"bad.png"):
        predictor(tmp_path / "bad.png")


def test_a_predictor_is_a_line(tmp_path):
    line = repr(predictor_for(tmp_path))
    assert line == f"Predictor('{tmp_path}', b0 detect, 160x160 pixels, colours fp32 on cpu)"


@pytest.mark.parametrize("option", ["conf", "iou", "max_det", "classes"])
def test_a_classifier_has_no_thresholds(tmp_path, option):
    with pytest.raises(RuntimeInputError, match=f"{option} is a detector's, this bundle's task is classify"):
        predictor_for(tmp_path, "classify")(TWO, **{option: 1})


@pytest.mark.parametrize("call", ["__call__", "stream", "choose_thresholds"])
def test_a_misspelt_keyword_is_told_with_the_nearest(tmp_path, call):
    given = [] if call == "choose_thresholds" else [TWO]
    with pytest.raises(ArgumentError, match="'cnf': did you mean 'conf'"):
        getattr(predictor_for(tmp_path), call)(*given, cnf=0.9)


@pytest.mark.parametrize("source", [None, TWO, True, 0.5, (path for path in ["a.png"])])
def test_what_is_no_source_is_refused(tmp_path, source):
    with pytest.raises(ArgumentError, match=r"stream\(\) takes a path"):
        predictor_for(tmp_path).stream(source)


def test_a_folder_gives_a_list(tmp_path):
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), TWO)
    (tmp_path / "bad.png").write_text("no image")
    predictor = predictor_for(tmp_path)
    with pytest.warns(PictureWarning, match=r"left out: .*bad.png"):
        results = predictor(str(tmp_path))
    assert [result.path for result in results] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), r"pass list\(batch\)"),
        (np.zeros((8, 8, 3), np.float32), "dtype float32; accepted are uint8"),
        ([np.zeros((8, 8, 5), np.uint8)], r"\(8, 8, 5\)"),
        (np.zeros((8, 8, 3), np.float32) + 0.5, r"0\.\.1: \(image \* 255\)"),
        (np.zeros((3, 8, 9), np.uint8), r"channels go last: image\.transpose\(1, 2, 0\)"),
        (None, "not an image: None"),
        (0, "not an image: 0"),
        (b"\xff\xd8", "cv2.imdecode"),
        (io.BytesIO(b"\xff\xd8"), r"an open file \(BytesIO\).*Image\.open"),
        ([TWO, None], "picture 1 of the list: not an image: None"),
        ({"a": 1}, "not an image: a dict"),
        ((image for image in [TWO]), r"generator: pass a list, list\(pictures\)"),
        ("no-such-folder-anywhere", "there is no no-such-folder-anywhere"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, given, words):
    with pytest.raises(DataError, match=words):
        predictor_for(tmp_path)(given)


def test_speed_is_of_one_picture(tmp_path):
    result = predictor_for(tmp_path)(TWO)
    assert list(result.speed) == ["preprocess", "inference", "postprocess"]
    assert all(value > 0 for value in result.speed.values())


def test_a_classifier_gives_shares(tmp_path):
    result = predictor_for(tmp_path, "classify")(picture((1, 0, 0, 640, 480)))
    assert result.boxes is None
    assert result.probs.top1 == 1
    expected = np.exp([0, 255 / 50, 0]) / np.exp([0, 255 / 50, 0]).sum()
    np.testing.assert_allclose(result.probs.data, expected, rtol=1e-5)


def test_features_give_maps(tmp_path):
    result = predictor_for(tmp_path, "features", batch=2, labels=())(TWO)
    assert {name: maps.shape for name, maps in result.features.items()} == {"mean": (3,), "maps": (3, 20, 20)}
    assert result.features["mean"][2] < 1  # no red
    assert (result.boxes, result.probs) == (None, None)


@pytest.mark.parametrize(("task", "output"), [("detect", "scores"), ("detect", "boxes"), ("classify", "logits")])
def test_numbers_that_overflow_are_an_error_not_an_empty_result(tmp_path, task, output):
    with pytest.raises(BundleError, match=f"infinite or undefined {output}.*take another precision"):
        predictor_for(tmp_path, task, spoil=output)(TWO)


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_a_class_without_a_name_is_an_error(tmp_path, task):
    with pytest.raises(BundleError, match=r"knows [23] classes and model.json names 1"):
        predictor_for(tmp_path, task, labels=("blue",))(TWO)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input": InputSpec(height=224, width=160)}, r"says the input is images \(batch, 224, 160, 3\)"),
        ({"input": InputSpec(name="pixels", height=160, width=160)}, "says the input is pixels"),
    ],
)
def test_an_artifact_that_is_not_the_sidecar_s_is_refused(tmp_path, fields, words):
    with pytest.raises(BundleError, match=words):
        predictor_for(tmp_path, **fields)


def test_an_artifact_without_the_task_s_outputs_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"a detect bundle needs the output boxes, .* gives logits"):
        Predictor(Bundle(tmp_path, manifest()), ColourFinder("classify"))


def test_leaving_the_with_closes_the_runtime(tmp_path):
    with predictor_for(tmp_path) as predictor:
        predictor(TWO)
    assert predictor.runtime.closed
    predictor.close()
    with pytest.raises(RuntimeInputError):
        predictor(TWO)
