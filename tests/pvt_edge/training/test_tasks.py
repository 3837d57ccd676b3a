"""What training knows of each task: targets, samples, and what is shown."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from pvt_edge.data.labelled_set import ClassSample, ClassSet  # noqa: E402
from pvt_edge.results.fields import Boxes  # noqa: E402
from pvt_edge.training.task import get_training  # noqa: E402


def test_rare_classes_are_drawn_more_often(tmp_path):
    samples = tuple(ClassSample(tmp_path / "a.png", label) for label in (0,) * 16 + (1,) * 4)
    weights = get_training("classify").sampling_weights(ClassSet(tmp_path, ("a", "b"), samples))
    assert weights[:16].sum() / weights[16:].sum() == pytest.approx(2)


def test_only_what_is_sure_is_shown():
    boxes = Boxes(np.array([[0, 0, 10, 10], [20, 0, 30, 10]]), np.array([0.9, 0.2]), np.array([0, 1]))
    shown = get_training("detect").shown({"boxes": boxes})
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
