"""What training knows of each task: targets, samples, and what is taken for what."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from pvt_edge.boxes import Boxes  # noqa: E402
from pvt_edge.data.labelled_set import BoxSample, ClassSample, ClassSet  # noqa: E402
from pvt_edge.results import Probs  # noqa: E402
from pvt_edge.training.task import get_training  # noqa: E402

CELLS = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]


def truth(tmp_path, labels):
    boxes = np.array(CELLS[: len(labels)], np.float32).reshape(-1, 4)
    return BoxSample(tmp_path / "a.png", 1, boxes, np.array(labels, np.int64))


def found(*rows):
    """An answer of (place among CELLS or a box, score, class) each."""
    boxes = [CELLS[place] if isinstance(place, int) else place for place, _, _ in rows]
    return {
        "boxes": Boxes(
            np.array(boxes, np.float32).reshape(-1, 4), [score for _, score, _ in rows], [cls for *_, cls in rows]
        )
    }


@pytest.mark.parametrize(
    ("labels", "answer", "table"),
    [
        ([], found(), [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
        ([0, 1], found(), [[0, 0, 1], [0, 0, 1], [0, 0, 0]]),
        ([0, 1], None, [[0, 0, 1], [0, 0, 1], [0, 0, 0]]),
        ([0, 1], found((0, 0.9, 0), (1, 0.8, 1)), [[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
        ([0, 1], found((0, 0.9, 1), (1, 0.2, 1)), [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),  # below a quarter is not shown
        ([0], found((0, 0.5, 0), (0, 0.9, 1)), [[0, 1, 0], [0, 0, 0], [1, 0, 0]]),  # the surest takes the box
        ([0], found(([0, 0, 10, 4], 0.9, 0)), [[0, 0, 1], [0, 0, 0], [1, 0, 0]]),  # too little overlap
        ([], found((2, 0.9, 1)), [[0, 0, 0], [0, 0, 0], [0, 1, 0]]),
    ],
)
def test_what_a_detector_takes_for_what(tmp_path, labels, answer, table):
    got = get_training("detect").confusion([truth(tmp_path, labels)], [answer], 2)
    assert got.tolist() == table


def test_what_a_classifier_takes_for_what(tmp_path):
    samples = [ClassSample(tmp_path / "a.png", label) for label in (0, 0, 1)]
    answers = [{"probs": Probs(np.float32(shares))} for shares in ([0.9, 0.1], [0.2, 0.8])]
    assert get_training("classify").confusion(samples, [*answers, None], 2).tolist() == [[1, 1], [0, 0]]


def test_rare_classes_are_drawn_more_often(tmp_path):
    samples = tuple(ClassSample(tmp_path / "a.png", label) for label in (0,) * 16 + (1,) * 4)
    weights = get_training("classify").sampling_weights(ClassSet(tmp_path, ("a", "b"), samples))
    assert weights[:16].sum() / weights[16:].sum() == pytest.approx(2)


def test_only_what_is_sure_is_shown():
    shown = get_training("detect").shown(found((0, 0.9, 0), (1, 0.2, 1)))
    assert shown["boxes"].conf.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("imgsz", "progress", "view"),
    [
        ((480, 640), 0.0, (288, 384)),
        ((480, 640), 0.69, (288, 384)),
        ((480, 640), 0.7, (480, 640)),
        ((256, 256), 0.0, (256, 256)),
    ],
)
def test_detectors_learn_from_crops_first(imgsz, progress, view):
    assert get_training("detect").view_hw(imgsz, progress) == view
