"""What is taken for what, and the curves of precision and recall: by hand, and against pycocotools' own arrays."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.data.coco import read_coco
from pvt_edge.data.labelled_set import ClassSample, ClassSet
from pvt_edge.errors import DataError
from pvt_edge.evaluation import Evaluation, Row
from pvt_edge.evaluation.files import check_plots, write_plots
from pvt_edge.metrics.confusion import confusion_of_boxes
from pvt_edge.metrics.curves import Ranked, curves_of
from pvt_edge.metrics.labelled_boxes import ap_settings, judge_boxes
from pvt_edge.metrics.labelled_classes import judge_classes
from pvt_edge.postprocessing import select
from pvt_edge.results import Boxes, Probs

NAMES = {4: "cat", 9: "dog"}
CELLS = [[0, 0, 10, 10], [20, 0, 10, 10], [40, 0, 10, 10]]  # xywh


def truths(*categories, crowd=()):
    rows = [{"image_id": 1, "category_id": c, "bbox": CELLS[i], "iscrowd": 0} for i, c in enumerate(categories)]
    return rows + [{"image_id": 1, "category_id": c, "bbox": [0, 0, 100, 100], "iscrowd": 1} for c in crowd]


def found(*rows):
    """Detections of (place among CELLS or a box, score, category) each."""
    return [
        {"image_id": 1, "category_id": c, "bbox": CELLS[box] if isinstance(box, int) else box, "score": score}
        for box, score, c in rows
    ]


@pytest.mark.parametrize(
    ("labelled", "answer", "table"),
    [
        (truths(), found(), [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
        (truths(4, 9), found(), [[0, 0, 1], [0, 0, 1], [0, 0, 0]]),
        (truths(4, 9), found((0, 0.9, 4), (1, 0.8, 9)), [[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
        (truths(4, 9), found((0, 0.9, 9), (1, 0.25, 9)), [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),  # not above a quarter
        (truths(4), found((0, 0.5, 4), (0, 0.9, 9)), [[0, 1, 0], [0, 0, 0], [1, 0, 0]]),  # the surest takes the box
        (truths(4), found(([0, 0, 10, 4], 0.9, 4)), [[0, 0, 1], [0, 0, 0], [1, 0, 0]]),  # too little overlap
        (truths(), found((2, 0.9, 9)), [[0, 0, 0], [0, 0, 0], [0, 1, 0]]),
        (truths(4, crowd=(4,)), found((0, 0.9, 4), (2, 0.9, 4)), [[1, 0, 0], [0, 0, 0], [0, 0, 0]]),
        (truths(4, crowd=(9,)), found((0, 0.9, 4), (2, 0.9, 4)), [[1, 0, 0], [0, 0, 0], [1, 0, 0]]),  # another's crowd
    ],
)
def test_what_a_detector_takes_for_what(labelled, answer, table):
    got = confusion_of_boxes(NAMES, labelled, answer, [1], 0.25)
    assert (got.names, got.conf, got.iou) == (("cat", "dog", "nothing"), 0.25, 0.5)
    assert got.counts.tolist() == table
    assert confusion_of_boxes(NAMES, labelled, answer, [], 0.25).counts.sum() == 0  # the image does not count


def classes(labels, *answers, names=("a", "b")):
    """The scores of a classifier's shares for pictures of these labels."""
    labelled = judge_classes(ClassSet("x", names, ()), names)
    samples = [ClassSample(None, label) for label in labels]
    given = [None if shares is None else {"probs": Probs(np.float32(shares))} for shares in answers]
    labelled = labelled.__class__(samples=tuple(samples), in_data=len(samples), labels=names)
    return labelled.score([labelled.rate(s, a, (1, 1)) for s, a in zip(samples, given, strict=True)])


def test_what_a_classifier_takes_for_what():
    got = classes((0, 0, 1), [0.9, 0.1], [0.2, 0.8], None)
    assert got.figures["top1"] == pytest.approx(1 / 3)
    assert (got.confusion.names, got.confusion.counts.tolist()) == (("a", "b"), [[1, 1], [0, 0]])
    assert got.confusion.conf is None
    one = classes((0, 0), [0.9], [0.3], names=("cell",)).confusion
    assert (one.names, one.counts.tolist()) == (("cell", "nothing"), [[1, 1], [0, 0]])


def test_curves_of_a_classifier():
    got = classes((0, 0, 1), [0.9, 0.1], [0.6, 0.4], [0.7, 0.3]).curves
    assert {name: curve.positives for name, curve in got.classes.items()} == {"a": 2, "b": 1}
    best = got.classes["a"].best  # 0.9 right, 0.7 wrong, 0.6 right
    assert (best.f1, best.precision, best.recall) == pytest.approx((0.8, 2 / 3, 1))
    assert best.conf < 0.6
    many = tuple(map(str, range(101)))
    assert classes((0,), np.eye(101)[0], names=many).curves is None


@pytest.mark.parametrize(
    ("scores", "hits", "positives", "conf", "f1"),
    [
        ([], [], 3, 0.5, 0),
        ([0.8, 0.4], [1, 0], 1, 0.599, 1),  # the middle of what divides right from wrong
        ([0.8, 0.4, 0.4], [1, 1, 0], 2, 0.199, 0.8),  # equal scores are kept or left together
        ([0.8, 0.8], [0, 0], 2, 0.5, 0),
    ],
)
def test_the_best_threshold(scores, hits, positives, conf, f1):
    got = curves_of({"a": Ranked(np.array(scores, float), np.array(hits, bool), positives)})
    assert got.best == got.classes["a"].best
    assert (got.best.conf, got.best.f1) == pytest.approx((conf, f1), abs=0.0011)
    assert got.classes["a"].f1.max() == pytest.approx(f1)


def test_nothing_to_be_found_has_no_curve():
    nothing = Ranked(np.array([0.5]), np.array([False]), 0)
    assert curves_of({"a": nothing}) is None
    assert [*curves_of({"a": nothing, "b": Ranked(np.array([0.5]), np.array([True]), 1)}).classes] == ["b"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Twelve pictures with boxes of two classes, crowds among them."""
    folder, rng = tmp_path_factory.mktemp("coco"), np.random.default_rng(0)
    annotations = []
    for image in range(12):
        cv2.imwrite(str(folder / f"{image}.png"), np.zeros((100, 200, 3), np.uint8))
        for i in range(6):
            bbox = [float(v) for v in (30 * i + rng.integers(0, 5), rng.integers(0, 60), *rng.integers(20, 28, 2))]
            row = {"id": len(annotations) + 1, "image_id": image + 100, "category_id": (4, 9)[i % 2], "bbox": bbox}
            annotations.append(row | {"area": bbox[2] * bbox[3], "iscrowd": int(i == 5 and image % 3 == 0)})
    images = [{"id": i + 100, "file_name": f"{i}.png", "height": 100, "width": 200} for i in range(12)]
    categories = [{"id": i, "name": name} for i, name in NAMES.items()]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return read_coco(path, folder)


@pytest.fixture(scope="module")
def judged(dataset):
    """(what judges, the answers): boxes shifted, of another class or made up, at random scores, some of them equal."""
    labelled = judge_boxes(dataset, ("cat", "dog"), ap_settings(PostprocessSpec(), ("cat", "dog")))
    rng, answers = np.random.default_rng(1), []
    for sample in dataset.samples:
        boxes = np.concatenate((sample.boxes_xyxy + rng.normal(0, 3, sample.boxes_xyxy.shape), rng.random((3, 4)) * 40))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 5)
        labels = np.concatenate((sample.labels, rng.integers(0, 2, 3)))
        wrong = rng.random(len(labels)) < 0.15
        scores = np.float32(np.round(rng.random(len(labels)), 2))
        answers.append((np.float32(boxes), scores, np.where(wrong, 1 - labels, labels)))
    return labelled, answers


def scores_at(judged, conf):
    labelled, answers = judged
    kept = [{"boxes": Boxes(*select(*answer, conf=conf, iou=0.9, max_det=100))} for answer in answers]
    rated = zip(labelled.samples, kept, strict=True)
    return labelled.score([labelled.rate(sample, answer, (100, 200)) for sample, answer in rated])


def test_curves_are_those_of_pycocotools(dataset, judged):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    got = scores_at(judged, 0.01)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(dataset.source))
        evaluation = COCOeval(truth, truth.loadRes(got.detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    for i, (name, curve) in enumerate(got.curves.classes.items()):
        assert np.array_equal(curve.precision, evaluation.eval["precision"][0, :, i, 0, -1])
        assert np.array_equal(curve.conf, evaluation.eval["scores"][0, :, i, 0, -1])
        assert curve.ap == pytest.approx(got.classes[name]["AP50"], abs=1e-12)
        assert 0.2 < curve.ap < 0.95


def test_the_best_threshold_gives_what_it_says(judged):
    """Cut at that threshold, what is left has the F1 that was promised."""
    got = scores_at(judged, 0.01).curves
    for i, (name, curve) in enumerate(got.classes.items()):
        cut = scores_at(judged, curve.best.conf)
        kept = sum(row["category_id"] == (4, 9)[i] for row in cut.detections)
        assert cut.curves.classes[name].f1[0] == pytest.approx(curve.best.f1)
        assert kept < sum(row["category_id"] == (4, 9)[i] for row in scores_at(judged, 0.01).detections)
    assert got.best.f1 <= max(curve.best.f1 for curve in got.classes.values())
    assert got.best.f1 == pytest.approx(
        np.mean([c.f1[0] for c in scores_at(judged, got.best.conf).curves.classes.values()])
    )


def test_the_folder_of_plots(judged, dataset, tmp_path):
    matplotlib_image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")
    scores = scores_at(judged, 0.01)
    rows = [
        Row("openvino", p, "cpu", scores.figures, scores.classes, {}, 1.0, None, None, scores.confusion, scores.curves)
        for p in ("fp32", "int8")
    ]
    evaluation = Evaluation(tmp_path / "b0", "detect", dataset.source, tmp_path, 12, 12, None, tuple(rows))
    check_plots(tmp_path / "plots")
    write_plots(tmp_path / "plots", evaluation)
    pngs = {f"{name}.openvino-{p}.png" for name in ("confusion", "precision_recall", "f1") for p in ("fp32", "int8")}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"val.json", *pngs}
    for name in pngs:
        assert len(np.unique(matplotlib_image.imread(tmp_path / "plots" / name))) > 20
    content = json.loads((tmp_path / "plots" / "val.json").read_text())["rows"][0]
    assert content["confusion"]["names"] == ["cat", "dog", "nothing"]
    assert content["confusion"]["counts"] == scores.confusion.counts.tolist()
    assert len(content["curves"]["classes"]["cat"]["precision"]) == 101
    write_plots(tmp_path / "plots", Evaluation(*vars(evaluation).values()))  # in the place of the earlier one
    (tmp_path / "plots" / "thesis.png").touch()
    with pytest.raises(DataError, match=r"thesis\.png.*--plots"):
        check_plots(tmp_path / "plots")
