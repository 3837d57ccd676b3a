"""Predictors end to end: on a runtime that finds plain-coloured areas, and on a small real bundle."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pvt_edge.bundle.reader import Bundle
from pvt_edge.bundle.schema import InputSpec, Manifest, PostprocessSpec, Provenance, ResizeSpec
from pvt_edge.bundle.writer import BundleWriter
from pvt_edge.choice import AUTO_RUNTIMES, choose_artifact, choose_runtime
from pvt_edge.errors import BundleError, DataError, RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.predictor import MAX_BATCH, Predictor, load
from pvt_edge.results import Result
from pvt_edge.runtimes import RUNTIMES, Runtime, TensorSpec
from pvt_edge.sources import Frame, ImageFiles

LABELS = ("blue", "green", "red")
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
INPUT_HW = (160, 160)
HASH = "0" * 64
NUMBERS = {"detect": ("boxes", "scores", "labels"), "classify": ("logits",), "features": ("mean", "maps")}


class ColourFinder:
    """A runtime that finds the blue, green and red area of each picture, or gives each channel's mean."""

    name, precision, device = "colours", "fp32", "cpu"

    def __init__(self, task="detect", batch=1, spoil=None):
        self.task, self.spoil, self.closed, self.batches = task, spoil, False, []
        self.inputs = (TensorSpec("images", "uint8", (batch, *INPUT_HW, 3)),)
        self.outputs = tuple(TensorSpec(name, "float32", ()) for name in NUMBERS[task])

    def infer(self, feeds):
        if self.closed:
            raise RuntimeInputError("closed")
        batch = feeds["images"]
        assert batch.dtype == np.uint8
        assert batch.shape[1:] == (*INPUT_HW, 3)
        assert self.inputs[0].shape[0] in (-1, len(batch))
        self.batches.append(batch)
        arrays = dict(zip(NUMBERS[self.task], getattr(self, f"_{self.task}")(batch), strict=True))
        if self.spoil:
            arrays[self.spoil][:] = np.nan
        return arrays

    def _detect(self, batch):
        boxes = np.zeros((len(batch), 6, 4), np.float32)  # each area twice, the second a little smaller
        scores = np.zeros((len(batch), 6), np.float32)
        for row, image in enumerate(batch):
            for label in range(3):
                others = [channel for channel in range(3) if channel != label]
                ys, xs = np.nonzero((image[..., label] > 180) & (image[..., others].max(axis=-1) < 75))
                if len(xs):
                    box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
                    boxes[row, label], boxes[row, label + 3] = box, box + np.array([1, 1, -1, -1])
                    scores[row, label], scores[row, label + 3] = 0.9 - label / 10, 0.5 - label / 10
        return boxes, scores, np.tile(np.arange(6) % 3, (len(batch), 1))

    def _classify(self, batch):
        return (batch.reshape(len(batch), -1, 3).mean(axis=1).astype(np.float32) / 50,)

    def _features(self, batch):
        channels_first = batch.transpose(0, 3, 1, 2).astype(np.float32)
        return channels_first.mean(axis=(2, 3)), channels_first[:, :, ::8, ::8]

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def manifest(task="detect", artifacts=(), **fields):
    records = [
        {
            "file": f"{runtime}.{precision}",
            "sha256": HASH,
            "bytes": 0,
            "runtime": runtime,
            "precision": precision,
        }
        for runtime, precision in artifacts
    ]
    defaults = {
        "variant": "b0",
        "task": task,
        "labels": LABELS,
        "input": InputSpec(height=INPUT_HW[0], width=INPUT_HW[1]),
        "outputs": NUMBERS[task],
        "resize": ResizeSpec(mode="letterbox" if task == "detect" else "stretch"),
        "postprocess": PostprocessSpec() if task == "detect" else None,
        "artifacts": records,
        "provenance": Provenance(pvt_edge="0", created="now", weights="none", versions={}, machine="here"),
    }
    return Manifest.model_validate(defaults | fields)


def predictor_for(tmp_path, task="detect", *, batch=1, spoil=None, **fields):
    return Predictor(Bundle(tmp_path, manifest(task, **fields)), ColourFinder(task, batch, spoil))


def picture(*areas, hw=(480, 640)):
    """A black picture with (label, x0, y0, x1, y1) areas."""
    image = np.zeros((*hw, 3), np.uint8)
    for label, x0, y0, x1, y1 in areas:
        image[y0:y1, x0:x1] = COLOURS[label]
    return image


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


TWO = picture((0, 100, 100, 300, 300), (1, 350, 100, 600, 400))


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
        ({"confidence": 1}, TypeError),
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


def test_pictures_of_different_sizes_in_one_batch(tmp_path):
    images = [picture((0, 10, 10, 60, 60), hw=hw) for hw in ((100, 200), (200, 100), (70, 70))]
    for result in predictor_for(tmp_path, batch=-1)(images):
        np.testing.assert_allclose(result.boxes.xyxy, [[10, 10, 60, 60]], atol=1.3)


def test_grey_and_transparent_pictures_are_taken(tmp_path):
    predictor = predictor_for(tmp_path)
    assert len(predictor(np.zeros((90, 90), np.uint8)).boxes) == 0
    transparent = np.dstack((TWO, np.zeros((480, 640), np.uint8)))
    assert predictor(transparent).boxes.cls.tolist() == [0, 1]
    assert predictor(transparent).image.shape == (480, 640, 3)


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


def test_a_folder_gives_a_list(tmp_path):
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), TWO)
    (tmp_path / "bad.png").write_text("no image")
    results = predictor_for(tmp_path)(str(tmp_path))
    assert [result.path for result in results] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), r"pass list\(batch\)"),
        (np.zeros((8, 8, 3), np.float32), "dtype float32; accepted are uint8"),
        ([np.zeros((8, 8, 5), np.uint8)], r"\(8, 8, 5\)"),
        (None, "cannot predict on NoneType"),
        (0, "cannot predict on int"),
        ([None], "not an image: NoneType"),
        ("no-such-folder-anywhere", "there is no no-such-folder-anywhere"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, given, words):
    with pytest.raises(DataError, match=words):
        predictor_for(tmp_path)(given)


def write_video(path, frames=7):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for number in range(frames):
        writer.write(picture((0, 16 * number, 40, 16 * number + 100, 200), hw=(240, 320)))
    writer.release()
    return path


@pytest.mark.parametrize("batch", [1, 3, -1])
def test_a_video_streams(tmp_path, batch):
    predictor = predictor_for(tmp_path, batch=batch)
    path = write_video(tmp_path / "clip.avi")
    results = list(predictor.stream(path))
    assert [result.frame.id for result in results] == list(range(7))
    for number, result in enumerate(results):
        assert result.path == str(path)
        assert result.boxes.xyxy[0, 0] == pytest.approx(16 * number, abs=4)
    assert {len(seen) for seen in predictor.runtime.batches} == {abs(batch)}


def test_a_stream_is_lazy(tmp_path):
    predictor = predictor_for(tmp_path)
    stream = predictor.stream(write_video(tmp_path / "clip.avi"))
    assert predictor.runtime.batches == []
    next(stream)
    next(stream)
    assert len(predictor.runtime.batches) == 2


def test_a_video_is_not_gathered_into_a_list(tmp_path):
    with pytest.raises(DataError, match=r"use predictor.stream\("):
        predictor_for(tmp_path)(str(write_video(tmp_path / "clip.avi")))


class Counted(ImageFiles):
    """Two frames of its own, and whether it was closed."""

    closed = False

    def __iter__(self):
        yield Frame(TWO, 5, captured_at=123.0)
        yield Frame(TWO, 6)

    def close(self):
        self.closed = True


def test_a_source_of_the_caller_s_is_left_open(tmp_path):
    source = Counted("mine", [])
    results = list(predictor_for(tmp_path).stream(source))
    assert [result.frame.id for result in results] == [5, 6]
    assert results[0].frame.captured_at == 123.0
    assert results[0].frame.age_ms >= sum(results[0].speed.values())
    assert not source.closed


def test_a_source_opened_by_the_stream_is_closed(tmp_path, monkeypatch):
    source = Counted("opened", [])
    monkeypatch.setattr("pvt_edge.predictor.open_source", lambda spec, options: source)
    stream = predictor_for(tmp_path).stream("camera")
    next(stream)
    assert not source.closed
    stream.close()
    assert source.closed


def test_a_source_is_closed_when_the_stream_is_refused(tmp_path, monkeypatch):
    source = Counted("opened", [])
    monkeypatch.setattr("pvt_edge.predictor.open_source", lambda spec, options: source)
    with pytest.raises(DataError, match="greatest age"):
        predictor_for(tmp_path).stream("camera", max_age=0)
    assert source.closed


def test_a_stream_left_half_way_leaves_no_thread(tmp_path):
    for result in predictor_for(tmp_path).stream("synthetic://cells?fps=200"):
        if result.frame.id > 5:
            break
    del result
    assert [thread.name for thread in threading.enumerate() if "pvt-edge" in thread.name] == []


def test_a_tracked_stream_gives_ids(tmp_path):
    results = list(predictor_for(tmp_path).stream(write_video(tmp_path / "clip.avi"), track=True))
    assert [result.boxes.id.tolist() for result in results] == [[-1], *[[1]] * 6]
    assert list(predictor_for(tmp_path).stream(tmp_path / "clip.avi"))[-1].boxes.id is None


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


ALL = [(runtime, precision) for runtime in AUTO_RUNTIMES if runtime != "opencv" for precision in ("fp32", "int8")]
OV_FP32, OV_INT8 = ("openvino", "fp32"), ("openvino", "int8")
ORT_FP32, ORT_INT8 = ("onnxruntime", "fp32"), ("onnxruntime", "int8")
TRT_FP16, TRT_FP32 = ("tensorrt", "fp16"), ("tensorrt", "fp32")


@pytest.mark.parametrize(
    ("held", "stated", "runtime", "asked", "stored", "run_as"),
    [
        ([OV_FP32], {}, "openvino", "auto", "fp32", "auto"),  # bf16 where the CPU has it
        ([OV_FP32, OV_INT8], {}, "openvino", "auto", "int8", "int8"),
        ([OV_FP32, OV_INT8], {"openvino": "bf16"}, "openvino", "auto", "fp32", "auto"),
        ([OV_FP32, OV_INT8], {"openvino": "fp32"}, "openvino", "auto", "fp32", "fp32"),
        ([OV_FP32, OV_INT8], {"onnxruntime": "fp32"}, "openvino", "auto", "int8", "int8"),
        ([OV_FP32], {}, "openvino", "bf16", "fp32", "bf16"),
        ([OV_FP32], {}, "openvino", "fp16", "fp32", "fp16"),
        ([OV_FP32, OV_INT8], {}, "openvino", "fp32", "fp32", "fp32"),
        ([ORT_FP32], {}, "onnxruntime", "auto", "fp32", "fp32"),
        ([ORT_FP32, OV_INT8], {}, "onnxruntime", "auto", "fp32", "fp32"),
        ([TRT_FP32, TRT_FP16], {}, "tensorrt", "auto", "fp16", "fp16"),
        ([OV_FP32, ORT_FP32, ORT_INT8], {"onnxruntime": "int8"}, "opencv", "auto", "fp32", "fp32"),
        ([ORT_FP32], {}, "opencv", "fp32", "fp32", "fp32"),
    ],
)
def test_the_precision_that_runs(tmp_path, held, stated, runtime, asked, stored, run_as):
    bundle = Bundle(tmp_path, manifest(artifacts=held, auto_precision=stated))
    artifact, precision = choose_artifact(bundle, runtime, asked)
    lender = {"opencv": "onnxruntime"}.get(runtime, runtime)  # OpenCV runs that one's file
    assert (artifact.runtime, artifact.precision, precision) == (lender, stored, run_as)


@pytest.mark.parametrize(
    ("runtime", "asked", "error", "words"),
    [
        ("onnxruntime", "int8", BundleError, "it has openvino fp32, onnxruntime fp32"),
        ("onnxruntime", "bf16", BundleError, "it has openvino fp32, onnxruntime fp32"),
        ("openvino", "int4", UnknownNameError, "did you mean 'int8'"),
        ("opencv", "int8", RuntimeInputError, "the opencv runtime takes precision auto, fp32; got int8"),
    ],
)
def test_a_precision_the_bundle_lacks_lists_what_is_there(tmp_path, runtime, asked, error, words):
    bundle = Bundle(tmp_path, manifest(artifacts=[OV_FP32, ORT_FP32]))
    with pytest.raises(error, match=words):
        choose_artifact(bundle, runtime, asked)


def not_installed(monkeypatch, *names):
    """Let the runtimes' packages be ones that are nowhere installed."""
    for name in names:
        entry = SimpleNamespace(packages=(f"no_such_{name}",), extra=name)
        monkeypatch.setitem(RUNTIMES, name, entry)


@pytest.mark.parametrize(
    ("held", "absent", "chosen"),
    [
        (ALL, (), "openvino"),
        (ALL, ("openvino",), "onnxruntime"),
        ([ORT_FP32], (), "onnxruntime"),
        ([ORT_FP32, TRT_FP16], ("openvino",), "onnxruntime"),
        ([OV_FP32, ORT_FP32], ("openvino", "onnxruntime"), "opencv"),
        ([OV_FP32, ORT_FP32], ("onnxruntime",), "openvino"),
    ],
)
def test_auto_takes_the_first_runtime_that_can(tmp_path, monkeypatch, held, absent, chosen):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    not_installed(monkeypatch, *absent)
    assert choose_runtime(Bundle(tmp_path, manifest(artifacts=held))) == chosen


def test_when_nothing_can_run_each_says_why(tmp_path, monkeypatch):
    not_installed(monkeypatch, "onnxruntime", "tensorrt")
    monkeypatch.delattr("cv2.dnn.ENGINE_NEW", raising=False)
    bundle = Bundle(tmp_path, manifest(artifacts=[ORT_FP32, TRT_FP16]))
    with pytest.raises(RuntimeMissingError) as caught:
        choose_runtime(bundle)
    assert "openvino has no artifact in it" in str(caught.value)
    assert 'pip install "pvt-edge[onnxruntime]"' in str(caught.value)
    assert "no_such_tensorrt" in str(caught.value)
    assert "the opencv runtime needs the DNN engine of OpenCV 5" in str(caught.value)


@pytest.mark.parametrize(
    ("runtime", "error", "words"),
    [
        ("onnxruntime", BundleError, "has nothing for onnxruntime: it has openvino fp32"),
        ("opencv", BundleError, "has nothing for opencv: it has openvino fp32"),
        ("openvion", UnknownNameError, "did you mean 'openvino'"),
    ],
)
def test_a_runtime_the_bundle_lacks(tmp_path, runtime, error, words):
    with pytest.raises(error, match=words):
        choose_runtime(Bundle(tmp_path, manifest(artifacts=[OV_FP32])), runtime)


@pytest.fixture(scope="module")
def real_bundle(tmp_path_factory):
    """A bundle on disk whose graph gives each channel's mean over 50 as its logit."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "fifty"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("axes", kinds.INT64, [2], [1, 2]),
        helper.make_tensor("fifty", kinds.FLOAT, [1], [50.0]),
    ]
    pixels = helper.make_tensor_value_info("images", kinds.UINT8, [1, *INPUT_HW, 3])
    logits = helper.make_tensor_value_info("logits", kinds.FLOAT, [1, 3])
    graph = helper.make_graph(nodes, "means", [pixels], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder = tmp_path_factory.mktemp("bundles") / "means"
    with BundleWriter(folder) as writer:
        onnx.save(model, writer.path("model.fp32.onnx"))
        artifact = writer.artifact("onnxruntime", "fp32", "model.fp32.onnx")
        writer.finish(manifest("classify", artifacts=()).model_copy(update={"artifacts": (artifact,)}))
    return folder


def test_a_bundle_on_disk_is_loaded_and_runs(real_bundle):
    pytest.importorskip("onnxruntime")
    image = picture((2, 0, 0, 640, 480), (1, 0, 0, 320, 480))
    with load(real_bundle, threads=1) as predictor:
        assert (predictor.runtime.name, predictor.runtime.precision) == ("onnxruntime", "fp32")
        assert predictor.names == LABELS
        shares = predictor(image).probs.data
        arrays = predictor.runtime.infer({"images": np.zeros((1, *INPUT_HW, 3), np.uint8)})
    expected = np.exp([0, 2.55, 2.55]) / np.exp([0, 2.55, 2.55]).sum()
    np.testing.assert_allclose(shares, expected, atol=0.01)
    assert arrays["logits"].tolist() == [[0, 0, 0]]


def test_load_hands_threads_and_device_to_the_runtime(real_bundle):
    pytest.importorskip("onnxruntime")
    with pytest.raises(RuntimeInputError, match="threads must be at least 1"):
        load(real_bundle, threads=0)
    with pytest.raises(RuntimeMissingError, match="toaster"):
        load(real_bundle, device="toaster")


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path):
    code = "import sys, pvt_edge.predictor, pvt_edge.sinks; print({'cv2', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "set()"


def test_load_refuses_what_the_bundle_lacks(real_bundle):
    with pytest.raises(BundleError, match="it has onnxruntime fp32"):
        load(real_bundle, precision="int8")
    with pytest.raises(BundleError, match="has nothing for openvino"):
        load(real_bundle, "openvino")
    with pytest.raises(BundleError, match="no bundle at"):
        load(real_bundle.parent / "nothing")
