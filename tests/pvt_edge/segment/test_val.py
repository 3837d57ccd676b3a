"""mIoU of a segmenter against confusion matrices by hand and mmseg's published rule."""

import cv2
import numpy as np
import pytest

import pvt_edge
from pvt_edge.data.labelled_set import MaskSample, MaskSet
from pvt_edge.errors import DataError, RuntimeInputError
from pvt_edge.evaluation import evaluate
from pvt_edge.tasks import get_task

from .made import HW, NAMES, blobs, picture, write_bundle, write_data

LABELS = ("a", "b", "c", "d")


def judged(tmp_path, pairs, labels=LABELS, names=LABELS, **options):
    """The scores of (labels, answer) pairs, for a model of the classes `labels` and data of `names`."""
    samples = []
    for number, (truth, _) in enumerate(pairs):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.asarray(truth, np.uint8))
        samples.append(MaskSample(path, path, labels=tuple(range(len(names))), **options))
    judge = get_task("segment").judge(MaskSet(tmp_path, names, tuple(samples)), labels, None)
    rated = [
        judge.rate(sample, None if answer is None else {"mask": np.asarray(answer)}, np.shape(truth))
        for sample, (truth, answer) in zip(samples, pairs, strict=True)
    ]
    return judge.score(rated)


def mmseg_ious(pairs, classes):
    """IoU of each class as mmseg's intersect_and_union counts: histograms of what is labelled, found and both."""
    both, found, there = (np.zeros(classes) for _ in range(3))
    bins = np.arange(classes + 1) - 0.5
    for truth, answer in pairs:
        known = np.asarray(truth) != 255
        label, answered = np.asarray(truth)[known], np.asarray(answer)[known]
        both += np.histogram(answered[answered == label], bins)[0]
        found += np.histogram(answered, bins)[0]
        there += np.histogram(label, bins)[0]
    with np.errstate(invalid="ignore"):
        return both / (found + there - both), both.sum() / there.sum(), both / there


def test_by_hand(tmp_path):
    truth, answer = [[0, 0, 1, 1], [1, 255, 2, 2]], [[0, 1, 1, 1], [0, 3, 2, 1]]
    scores = judged(tmp_path, [(truth, np.array(answer, np.uint8))])
    assert {name: row["pixels"] for name, row in scores.classes.items()} == {"a": 2, "b": 3, "c": 2, "d": 0}
    assert [row["IoU"] for row in scores.classes.values()][:3] == pytest.approx([1 / 3, 2 / 5, 1 / 2])
    assert np.isnan(scores.classes["d"]["IoU"])  # neither there nor found where there are labels
    assert scores.figures["mIoU"] == pytest.approx((1 / 3 + 2 / 5 + 1 / 2) / 3)
    assert scores.figures["pixel_accuracy"] == pytest.approx(4 / 7)
    assert next(iter(scores.figures)) == "mIoU"
    assert scores.confusion.names == (*LABELS, "nothing")
    assert scores.confusion.counts.tolist() == [[1, 1, 0, 0, 0], [1, 2, 0, 0, 0], [0, 1, 1, 0, 0], [0] * 5, [0] * 5]
    assert [*scores.by_class.values()][:3] == pytest.approx([1 / 3, 2 / 5, 1 / 2])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_as_mmseg_counts(tmp_path, dtype):
    rng = np.random.default_rng(0)
    choices = np.array([0, 1, 2, 255])
    pairs = [(rng.choice(choices, (37, 29)), rng.integers(0, 4, (37, 29)).astype(dtype)) for _ in range(5)]
    scores = judged(tmp_path, pairs)
    ious, accuracy, by_class = mmseg_ious(pairs, 4)
    assert [row["IoU"] for row in scores.classes.values()] == pytest.approx(ious.tolist())
    assert scores.figures["mIoU"] == pytest.approx(np.nanmean(ious))
    assert ious[3] == 0  # found where it is not, so that it counts
    assert scores.figures["pixel_accuracy"] == pytest.approx(accuracy)
    assert scores.figures["mean_accuracy"] == pytest.approx(np.nanmean(by_class))


def test_reduced_zero_label(tmp_path):
    pairs = [([[0, 1, 2, 255]], np.array([[3, 0, 2, 1]], np.uint8))]
    scores = judged(tmp_path, pairs, reduce_zero_label=True)
    assert {name: row["pixels"] for name, row in scores.classes.items()} == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert scores.figures["pixel_accuracy"] == 0.5
    assert scores.figures["mIoU"] == pytest.approx(1 / 3)


def test_classes_are_matched_by_name(tmp_path):
    pairs = [([[0, 1]], np.array([[2, 0]], np.uint8))]
    scores = judged(tmp_path, pairs, labels=("b", "extra", "a"), names=("a", "b"))
    assert scores.figures["mIoU"] == 1
    wrong = judged(tmp_path, [([[0, 1]], np.array([[2, 1]], np.uint8))], labels=("b", "extra", "a"), names=("a", "b"))
    assert wrong.figures == {"mIoU": 0.5, "pixel_accuracy": 0.5, "mean_accuracy": 0.5}


@pytest.mark.parametrize("answer", [None, [[255, 255]], np.array([[-1, -1]], np.int32)])
def test_no_answer_is_wrong(tmp_path, answer):
    given = None if answer is None else np.array(answer, getattr(answer, "dtype", np.uint8))
    assert judged(tmp_path, [([[0, 1]], given)]).figures["mIoU"] == 0


UNFIT = {
    "a class that the model does not know": (("a", "cow"), ("a", "crow"), "'crow'.*did you mean 'cow'"),
    "another length without names": (("class_0", "class_1", "class_2"), ("a", "b"), "2 classes and the model 3"),
}


@pytest.mark.parametrize("case", UNFIT.values(), ids=UNFIT)
def test_classes_that_do_not_fit(tmp_path, case):
    labels, names, words = case
    with pytest.raises(DataError, match=words):
        judged(tmp_path, [([[0, 1]], [[0, 1]])], labels=labels, names=names)


def test_masks_without_a_label(tmp_path):
    sample = MaskSample(tmp_path / "x.png", tmp_path / "x.png")
    sample.path.write_bytes(b"")
    with pytest.raises(DataError, match="no labelled pixel"):
        get_task("segment").judge(MaskSet(tmp_path, LABELS, (sample,)), LABELS, None)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    others = {"int8": "no platelets"}
    return write_bundle(tmp_path_factory.mktemp("segment") / "bundle", others, batch=2)


def test_a_bundle_on_its_own_masks(bundle, tmp_path):
    found = evaluate(bundle, write_data(tmp_path), runtime="onnxruntime", precision="all")
    figures = {row.precision: row.figures for row in found.rows}
    assert figures["fp32"] == {"mIoU": 1, "pixel_accuracy": 1, "mean_accuracy": 1}
    assert figures["int8"]["pixel_accuracy"] < 1
    assert found.rows[1].classes["Platelets"]["IoU"] == 0
    assert found.settings is None


def test_a_benchmark_has_the_same_figures(bundle, tmp_path):
    from pvt_edge.benchmarks.pictures import measure_accuracy, read_labels
    from pvt_edge.benchmarks.words import ACCURACY
    from pvt_edge.bundle import read_bundle

    labelled = read_labels(read_bundle(bundle), write_data(tmp_path), None)
    with pvt_edge.load(bundle, precision="int8") as predictor:
        figures = measure_accuracy(predictor, labelled)
    assert figures["pixel_accuracy"] < 1
    assert {*figures} & {*ACCURACY} == {"mIoU"}


def test_the_command(bundle, pvt_edge_command, tmp_path):
    data = write_data(tmp_path / "data")
    (data / "classes.txt").unlink()
    for number in range(3):  # as ADE20K: 0 is no label
        ids = np.where(blobs(HW, number) == 0, 0, blobs(HW, number) + 1)
        cv2.imwrite(str(data / "masks" / f"{number}.png"), ids)
    command = ("val", str(bundle), "--data", str(data), "--precision", "fp32", "--json", "-")
    refused = pvt_edge_command(*command)
    assert refused.returncode == 1
    assert "--reduce-zero-label" in refused.stderr
    done = pvt_edge_command(*command, "--reduce-zero-label")
    assert done.returncode == 0, done.stderr
    assert '"mIoU": 1.0' in done.stdout
    assert "Platelets" in done.stderr


def test_another_task_has_no_zero_label(tmp_path):
    bundle = write_bundle(tmp_path / "bundle", task="features")
    with pytest.raises(RuntimeInputError, match="is of index masks"):
        evaluate(bundle, write_data(tmp_path / "data"), reduce_zero_label=True)


def test_a_picture_that_changed_after_it_was_read(bundle, tmp_path):
    dataset, _ = get_task("segment").read_labels(write_data(tmp_path), labels=NAMES)
    judge = get_task("segment").judge(dataset, NAMES, None)
    cv2.imwrite(str(judge.samples[0].mask_path), np.zeros((3, 4), np.uint8))
    with pytest.raises(DataError, match="does not fit"):
        judge.rate(judge.samples[0], {"mask": picture(blobs())[..., 0]}, HW)
