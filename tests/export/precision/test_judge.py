"""What INT8 is judged by: agreement, AP and top-1, each against the metric called on its own."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.data.coco import read_coco
from pvt_edge.errors import DataError, ExportError, PictureWarning
from pvt_edge.evaluation.arrays import answers_of
from pvt_edge.export.precision.judge import AgreementJudge, labelled_judge
from pvt_edge.pictures.resizing import apply, plan
from pvt_edge.runtimes import TensorSpec
from pvt_edge.scenes import LABELS, draw_scene, write_scenes
from pvt_edge.tasks import agreement, get_task

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

IMGSZ, RESIZE, POST = (64, 96), ResizeSpec(mode="letterbox"), PostprocessSpec(conf=0.25, iou=0.5, max_det=50)
CLASSES = 4
SCENES = 4


def detector_accuracy(runtime, dataset, resize, post):
    """AP as an export measures it."""
    task, names = get_task("detect"), dataset.names
    labelled = task.judge(dataset, names, task.judged_at(post, names))
    answers = answers_of(task, labelled, runtime, resize, names)
    return labelled.score([labelled.rate(*answer) for answer in answers]).figures


def logits(*best: int, classes: int = CLASSES) -> tuple[dict[str, np.ndarray], ...]:
    """One picture's outputs a number: that class is the best by far."""
    rows = np.random.default_rng(1).uniform(0, 1, (len(best), 1, classes)).astype(np.float32)
    for row, cls in zip(rows, best, strict=True):
        row[0, cls] += 5
    return tuple({"logits": row} for row in rows)


class Played:
    """A runtime that plays recorded outputs, one picture after the other."""

    inputs = (TensorSpec("images", "uint8", (1, *IMGSZ, 3)),)

    def __init__(self, outputs) -> None:
        self.outputs = iter(outputs)

    def infer(self, feeds):
        assert feeds["images"].shape == (1, *IMGSZ, 3)
        return next(self.outputs)


def box_judge(annotations, images, labels, imgsz, resize, post, data=None):
    return labelled_judge("detect", annotations, images, labels, imgsz, resize, post, words=data)


def top1_judge(folder, labels, imgsz, resize):
    return labelled_judge("classify", folder, None, labels, imgsz, resize, None)


@pytest.fixture(scope="module")
def annotations(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), SCENES, seed=5)


@pytest.fixture(scope="module")
def dataset(annotations):
    return read_coco(annotations, annotations.parent / "images")


@pytest.fixture(scope="module")
def boxes(annotations):
    return box_judge(annotations, annotations.parent / "images", LABELS, IMGSZ, RESIZE, POST)


@pytest.fixture(scope="module")
def found(dataset):
    """Outputs of an imperfect detector: each box shifted, in input pixels, every fifth of another class."""
    rng, outputs = np.random.default_rng(0), []
    for sample in dataset.samples:
        height, width = cv2.imread(str(sample.path)).shape[:2]
        scale = min(IMGSZ[0] / height, IMGSZ[1] / width)
        shifted = sample.boxes_xyxy * scale + rng.normal(0, 0.4, sample.boxes_xyxy.shape)
        labels = np.where(rng.random(len(shifted)) < 0.2, (sample.labels + 1) % len(LABELS), sample.labels)
        scores = np.sort(rng.uniform(0.05, 1, len(shifted)))[::-1]
        arrays = {"boxes": shifted.astype(np.float32), "scores": scores.astype(np.float32), "labels": labels}
        outputs.append({name: values[None] for name, values in arrays.items()})
    return outputs


@pytest.fixture
def folder(tmp_path):
    """Five pictures of three of four classes, one of them named by its index."""
    for name, seeds in (("cat", (1, 2)), ("dog", (3,)), ("3", (4, 5))):
        (tmp_path / name).mkdir()
        for seed in seeds:
            cv2.imwrite(str(tmp_path / name / f"{seed}.png"), draw_scene(seed, 80, 100).image)
    return tmp_path


def test_an_agreement_judge_agrees_with_its_own_reference(found):
    classify = AgreementJudge((), "classify", None, "pictures", logits(0, 3, 1))
    detect = AgreementJudge((), "detect", POST, "pictures", tuple(found))
    for judge in (classify, detect):
        value, details = judge.judge(judge.reference)
        assert value == details["agreement"] == 1.0
        assert (judge.metric.name, judge.metric.data) == ("agreement", "pictures")
    assert classify.metric.words == "top-1 agreement with fp32"
    assert detect.metric.words == "matched-box F1 with fp32"


def test_an_agreement_judge_counts_what_differs():
    judge = AgreementJudge((), "classify", None, "pictures", logits(0, 3, 1, 2))
    assert judge.value(logits(0, 3, 1, 1)) == 0.75
    assert judge.judge(logits(1, 0, 0, 1)) == (0.0, agreement("classify", logits(1, 0, 0, 1), judge.reference))


def test_an_agreement_judge_uses_its_thresholds(found):
    """A detection the thresholds hide makes no difference."""
    other = [{**arrays, "labels": np.where(arrays["scores"] < 0.2, 2, arrays["labels"])} for arrays in found]
    strict = AgreementJudge((), "detect", PostprocessSpec(conf=0.5, iou=1.0), "", tuple(found))
    loose = AgreementJudge((), "detect", PostprocessSpec(conf=0.05, iou=1.0), "", tuple(found))
    assert strict.value(other) == 1.0
    assert loose.value(other) < 1.0


def test_feature_maps_agree_by_cosine():
    maps = {"stage1": np.float32([[[[1, 0]]]])}
    judge = AgreementJudge((), "features", None, "", (maps,))
    assert judge.metric.words == "cosine with fp32"
    assert judge.value([maps]) == pytest.approx(1)
    assert judge.value([{"stage1": np.float32([[[[1, 1]]]])}]) == pytest.approx(0.5**0.5)


def test_a_box_judge_gives_the_ap_of_the_accuracy_check(boxes, dataset, found):
    wanted = detector_accuracy(Played(found), dataset, RESIZE, POST)["AP"]
    assert 0.1 < wanted < 0.9
    assert boxes.value(found) == pytest.approx(wanted, abs=1e-9)
    assert (boxes.metric.name, boxes.metric.words) == ("map", "AP")
    nothing = [{**arrays, "scores": arrays["scores"] * 0} for arrays in found]
    assert boxes.value(nothing) == 0


def test_a_box_judge_has_the_pictures_as_the_graph_takes_them(boxes, dataset, annotations):
    assert len(boxes.inputs) == SCENES
    assert boxes.metric.data == f"{SCENES} labelled pictures of {annotations}"
    for given, sample in zip(boxes.inputs, dataset.samples, strict=True):
        image = cv2.imread(str(sample.path))
        assert (given == apply(image, plan(image.shape[:2], IMGSZ, RESIZE), RESIZE)[None]).all()
    told = box_judge(annotations, str(annotations.parent / "images"), LABELS, IMGSZ, RESIZE, POST, data="scenes")
    assert told.metric.data == "scenes"


def test_what_is_odd_in_the_labels_is_said(annotations, tmp_path):
    content = json.loads(annotations.read_text())
    for image in content["images"]:
        image["file_name"] = f"C:\\data\\{image['file_name']}"
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps(content))
    with pytest.warns(PictureWarning, match=r"moved\.json"):
        box_judge(moved, annotations.parent / "images", LABELS, IMGSZ, RESIZE, POST)


def test_a_box_judge_also_tells_the_agreement(boxes, found):
    value, details = replace(boxes, reference=tuple(found)).judge(found)
    assert value == boxes.value(found)
    assert details["f1"] == 1.0


def test_a_box_judge_of_few_pictures(boxes, dataset, found):
    few = boxes.few(2)
    assert len(few.inputs) == 2
    subset = replace(dataset, samples=dataset.samples[::2])
    wanted = detector_accuracy(Played(found[::2]), subset, RESIZE, POST)["AP"]
    assert few.value(found[::2]) == pytest.approx(wanted)
    assert wanted != boxes.value(found)


@pytest.mark.parametrize("labels", [LABELS[:-1], [*LABELS[1:], LABELS[0]], [*LABELS, "other"]])
def test_classes_that_differ(annotations, labels):
    with pytest.raises(ExportError, match=r"are not the model's, in its order: ") as raised:
        box_judge(annotations, annotations.parent / "images", labels, IMGSZ, RESIZE, POST)
    assert str(annotations) in str(raised.value)
    assert ", ".join(LABELS) in str(raised.value)


def test_a_folder_whose_name_is_not_utf8(annotations, tmp_path):
    link = tmp_path / "caf\udce9"
    try:
        link.symlink_to(annotations.parent)
    except OSError:
        pytest.skip("the names of this file system are UTF-8")
    judge = box_judge(link / annotations.name, link / "images", LABELS, IMGSZ, RESIZE, POST)
    assert judge.metric.data.endswith(rf"/caf\udce9/{annotations.name}")
    assert judge.metric.model_dump_json()


def test_annotations_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no\.json"):
        box_judge(tmp_path / "no.json", tmp_path, LABELS, IMGSZ, RESIZE, POST)


def test_a_top1_judge_counts_right_classes(folder):
    labels = ("dog", "cat", "bird", "cow")  # the folder called 3 is cow
    judge = top1_judge(folder, labels, IMGSZ, RESIZE)
    truth = tuple(sample.label for sample in judge.labelled.samples)
    assert truth == (3, 3, 1, 1, 0)
    assert judge.value(logits(*truth)) == 1.0
    assert judge.value(logits(3, 0, 1, 2, 0)) == pytest.approx(0.6)
    assert (judge.metric.name, judge.metric.words) == ("top1", "top-1")
    assert judge.metric.data == f"5 labelled pictures of {folder}"
    assert [picture.shape for picture in judge.inputs] == [(1, *IMGSZ, 3)] * 5
    classes = judge.by_class(logits(*truth))
    assert {name for name, value in classes.items() if np.isnan(value)} == {"bird"}  # which no picture shows
    assert judge.few(3).value(logits(3, 0, 1)) == pytest.approx(2 / 3)  # of 3, 3 and 1, which stand behind each other
    image = cv2.imread(str(folder / "cat" / "1.png"))
    assert (judge.inputs[2] == apply(image, plan(image.shape[:2], IMGSZ, RESIZE), RESIZE)[None]).all()


def test_a_folder_of_no_class(folder):
    with pytest.raises(DataError, match="'cat'"):
        top1_judge(folder, ("dog", "bird", "cow", "hen"), IMGSZ, RESIZE)


def test_few_pictures_from_all_over(scenes):
    judge = AgreementJudge(tuple(scenes), "classify", None, "three", logits(0, 1, 2))
    assert judge.few(1).value(logits(0)) == 1.0
    few = judge.few(2)
    assert (len(few.inputs), len(few.reference)) == (2, 2)
    assert few.value(logits(0, 0)) == 0.5
    assert len(judge.inputs) == 3
    assert len(judge.few(9).inputs) == 3
    of_ten = AgreementJudge(tuple(np.full((1, 1), i) for i in range(10)), "classify", None, "ten").few(4)
    assert [int(picture[0, 0]) for picture in of_ten.inputs] == [0, 2, 5, 7]
