"""Folders of labelled pictures, and the top-1 of a classifier of mean colours that ONNX Runtime runs."""

import math

import cv2
import numpy as np
import pytest

from pvt_edge.bundle.schema import ResizeSpec
from pvt_edge.data.classed_pictures import read_image_folder
from pvt_edge.data.labelled_set import ClassSample, ClassSet
from pvt_edge.errors import DataError
from pvt_edge.evaluation.arrays import answers_of
from pvt_edge.metrics.labelled_classes import place
from pvt_edge.tasks import get_task

HEIGHT, WIDTH = 16, 24
BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLOURS = np.array([BLUE, GREEN, RED], np.float32).T / 255  # (3, K): the logits are the mean blue, green and red
STRETCH = ResizeSpec(mode="stretch")


def top1_accuracy(runtime, data, resize):
    """Top-1 and top-5 as an export measures them."""
    task, names = get_task("classify"), [str(i) for i in range(runtime.outputs[0].shape[1])]
    labelled = task.judge(data, names, None)
    answers = answers_of(task, labelled, runtime, resize, names)
    figures = labelled.score([labelled.rate(*answer) for answer in answers]).figures
    return {name: figures[name] for name in ("top1", "top5")}


def one(path, label):
    return ClassSet(path, (), (ClassSample(path, label),))


def write(path, *columns):
    """A picture of equal columns, each of one BGR colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.repeat(np.array(columns, np.uint8)[None], 24, axis=0)
    assert cv2.imwrite(str(path), np.repeat(picture, 60 // len(columns), axis=1))
    return path


@pytest.fixture
def opened(tmp_path):
    """The function (weights (3, K), batch) -> a runtime whose logits are the mean colour of the input times them."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    from onnx import TensorProto, helper, numpy_helper

    from pvt_edge.runtimes import open_runtime

    runtimes = []

    def run(weights, batch=1):
        nodes = [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
            helper.make_node("MatMul", ["colour", "weights"], ["logits"]),
        ]
        constants = [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(np.asarray(weights, np.float32), "weights"),
        ]
        ports = [
            helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, HEIGHT, WIDTH, 3]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, np.shape(weights)[1]]),
        ]
        graph = helper.make_graph(nodes, "colours", ports[:1], ports[1:], constants)
        path = tmp_path / f"colours{len(runtimes)}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
        runtimes.append(open_runtime("onnxruntime", path, threads=1))
        return runtimes[-1]

    yield run
    for runtime in runtimes:
        runtime.close()


@pytest.fixture
def data(tmp_path):
    """Two blue pictures, a green one and two that are called red, of which one is green."""
    folder = tmp_path / "pictures"
    write(folder / "blue" / "0.png", BLUE)
    write(folder / "blue" / "1.png", BLUE)
    write(folder / "green" / "0.png", GREEN)
    write(folder / "red" / "0.png", RED)
    write(folder / "red" / "1.png", GREEN)
    return read_image_folder(folder, ["blue", "green", "red"])


@pytest.mark.parametrize("batch", [1, "batch", 3])
def test_top1(opened, data, batch):
    assert top1_accuracy(opened(COLOURS, batch), data, STRETCH) == {"top1": 0.8, "top5": 1.0}


def test_classes_that_changed_places(opened, data):
    assert top1_accuracy(opened(COLOURS[:, [1, 0, 2]]), data, STRETCH)["top1"] == 0.2


@pytest.mark.parametrize(("better", "figures"), [(0, (1, 1)), (1, (0, 1)), (4, (0, 1)), (5, (0, 0))])
def test_top5_of_more_classes(opened, tmp_path, better, figures):
    weights = np.zeros((3, 12), np.float32)
    weights[0, 9], weights[0, :better] = 0.02, 0.04  # so many classes go before class 9
    data = one(write(tmp_path / "blue.png", BLUE), 9)
    assert tuple(top1_accuracy(opened(weights), data, STRETCH).values()) == figures


@pytest.mark.parametrize(("label", "figures"), [(1, (1, 1)), (3, (0, 1)), (9, (0, 1)), (11, (0, 0)), (0, (0, 0))])
def test_of_equal_logits_the_first_is_best(opened, tmp_path, label, figures):
    weights = np.arange(900).reshape(3, 300) % 2  # the odd classes; a sort that is not stable keeps the order of a few
    data = one(write(tmp_path / "blue.png", BLUE), label)
    assert tuple(top1_accuracy(opened(weights), data, STRETCH).values()) == figures


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 2])
def test_logits_that_are_not_finite_are_wrong(opened, data, broken, where):
    weights = COLOURS.copy()
    weights[:, where] = broken
    assert top1_accuracy(opened(weights), data, STRETCH) == {"top1": 0, "top5": 0}


@pytest.mark.parametrize(
    ("resize", "top1"),
    [
        (ResizeSpec(mode="stretch"), 0),  # red, green, red: the mean is red
        (ResizeSpec(mode="crop", crop_fraction=0.3), 1),  # only the green centre is left
        (ResizeSpec(mode="letterbox", fill_bgr=(0, 255, 0)), 1),  # a green border below tips the scale
    ],
)
def test_pictures_are_resized_as_the_bundle_says(opened, tmp_path, resize, top1):
    data = one(write(tmp_path / "a.png", RED, RED, GREEN, GREEN, RED), 1)
    assert top1_accuracy(opened(COLOURS), data, resize)["top1"] == top1


def test_a_picture_that_cannot_be_read(opened, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    data = one(tmp_path / "broken.png", 0)
    with pytest.raises(DataError, match=r"cannot read .*broken\.png"):
        top1_accuracy(opened(COLOURS), data, STRETCH)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def read(folder, labels):
    """{path below the folder: label index} of a folder."""
    return {path.relative_to(folder).as_posix(): index for path, index in read_image_folder(folder, labels).samples}


def test_folder_in_order_of_path(tmp_path):
    touch(tmp_path, "dog/b.JPG", "dog/a.png", "cat/z.webp")
    data = read_image_folder(str(tmp_path), ["dog", "emu", "cat"])
    assert data == ClassSet(
        tmp_path,
        ("dog", "emu", "cat"),
        ((tmp_path / "cat" / "z.webp", 2), (tmp_path / "dog" / "a.png", 0), (tmp_path / "dog" / "b.JPG", 0)),
    )


def test_what_is_passed_over(tmp_path):
    touch(tmp_path, "cat/a.png", "cat/._a.png", "cat/notes.txt", "cat/deep/b.png", ".cache/c.png", "readme.png")
    (tmp_path / "dog").mkdir()
    assert read(tmp_path, ["cat", "dog"]) == {"cat/a.png": 0}


def test_pictures_are_known_by_content_and_what_cannot_be_used_is_named(tmp_path):
    write(tmp_path / "cat" / "a.png", RED)
    for name in ("b.jfif", "c"):
        (tmp_path / "cat" / name).write_bytes((tmp_path / "cat" / "a.png").read_bytes())
    for name in ("d.heic", "e.mp4", "Thumbs.db", "notes.txt"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    found = read_image_folder(tmp_path, ["cat"])
    assert [path.name for path, _ in found.samples] == ["a.png", "b.jfif", "c"]
    heic, video = found.left_out
    assert "d.heic: HEIC" in heic
    assert "e.mp4: a video" in video


@pytest.mark.parametrize(
    ("names", "labels", "indices"),
    [
        (["0", "2"], ["cat", "dog", "emu"], [0, 2]),
        (["cat", "1"], ["cat", "dog"], [1, 0]),  # in order of path
        (["0", "1"], ["1", "0"], [1, 0]),  # labels that are numbers go first
        (["002"], ["cat", "dog", "emu"], [2]),
        (["17"], [f"class {i}" for i in range(18)], [17]),
        (["0", "1"], ["crane", "crane"], [0, 1]),
    ],
)
def test_folders_named_by_index(tmp_path, names, labels, indices):
    touch(tmp_path, *(f"{name}/a.png" for name in names))
    assert list(read(tmp_path, labels).values()) == indices


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dgo", "unknown class 'dgo': did you mean 'dog'? known are cat, dog; expected are sub-folders of images"),
        ("Cat", "unknown class 'Cat': did you mean 'cat'?"),
        ("2", "unknown class '2': known are cat, dog; expected are sub-folders of images, each named by a label or "),
        ("-1", "unknown class '-1': known are cat, dog"),
        ("²", "unknown class '²': known are cat, dog"),
    ],
)
def test_folders_of_no_class(tmp_path, name, told):
    touch(tmp_path, "cat/a.png")
    (tmp_path / name).mkdir()
    with pytest.raises(DataError) as caught:
        read_image_folder(tmp_path, ["cat", "dog"])
    assert str(caught.value).startswith(f"cannot use {tmp_path / name}: {told}")


def test_a_label_that_two_classes_share(tmp_path):
    touch(tmp_path, "crane/a.png")
    with pytest.raises(DataError, match=r"2 classes are called 'crane'; name it 0 or 2$"):
        read_image_folder(tmp_path, ["crane", "dog", "crane"])


@pytest.mark.parametrize(
    ("names", "inside"),
    [
        ([], "it has no sub-folders"),
        (["a.png"], "it has no sub-folders"),
        (["cat/notes.txt", "dog/deep/a.png"], "its 2 sub-folders hold none"),
    ],
)
def test_folders_without_pictures(tmp_path, names, inside):
    touch(tmp_path, *names)
    with pytest.raises(DataError) as caught:
        read_image_folder(tmp_path, ["cat", "dog"])
    assert str(caught.value) == (
        f"no labelled images in {tmp_path}: {inside}; expected are sub-folders of images, each named by a label or "
        "its index (0 to 1)"
    )


def test_no_folder(tmp_path):
    touch(tmp_path, "file.png")
    for name, reason in (("absent", "No such file or directory"), ("file.png", "Not a directory")):
        with pytest.raises(DataError) as caught:
            read_image_folder(tmp_path / name, ["cat"])
        assert str(caught.value) == f"cannot list {tmp_path / name}: {reason}"


@pytest.mark.parametrize(("logit", "at"), [(0.1, 0), (-0.1, math.inf), (0.0, math.inf), (math.nan, math.inf)])
def test_one_class_alone_is_right_above_a_half(logit, at):
    assert place(np.array([logit], np.float32), 0) == at
