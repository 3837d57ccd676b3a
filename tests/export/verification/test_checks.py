"""What is no answer of a model, or not the same in all rows of a batch."""

import numpy as np
import pytest

import pvt_edge
from pvt_edge.errors import BundleError
from pvt_edge.sources import Frame, read_image
from pvt_edge.tasks import get_task
from pvt_edge.verification.checks import check_rows
from pvt_edge.verification.side import Side, open_side

from .test_difference import A, B, detections, logits, maps

NAN = float("nan")


def spoilt(answer, **outputs):
    return {**answer, **{name: change(answer[name]) for name, change in outputs.items()}}


def test_sound_answers():
    get_task("detect").check(detections(A, B), ("ant", "bee"))
    get_task("detect").check(detections(), ("ant", "bee"))
    get_task("detect").check(detections(A, (0, 0, 0, 0, 0, -1)), ("ant",))  # a candidate without a score is none
    get_task("classify").check(logits(1, 2), ("ant", "bee"))
    get_task("features").check(maps(1, 2), ())


@pytest.mark.parametrize(
    ("answer", "task", "told"),
    [
        (detections(A, B), "detect", "knows 2 classes and model.json names 1"),
        (detections((*A[:5], -1)), "detect", "gives the class id -1"),
        (logits(1, 2), "classify", "knows 2 classes and model.json names 1"),
        ({"logits": np.zeros(2, np.float32)}, "classify", r"gives logits \(2,\)"),
        (spoilt(detections(A), boxes=lambda a: a[..., :3]), "detect", r"gives boxes \(1, 1, 3\)"),
        (spoilt(detections(A), boxes=lambda a: a[0]), "detect", r"gives boxes \(1, 4\)"),
        (spoilt(detections(A), scores=lambda a: a[:, :0]), "detect", r"scores \(1, 0\)"),
        (spoilt(detections(A), labels=lambda a: a[..., None]), "detect", r"labels \(1, 1, 1\)"),
    ],
)
def test_no_answer_of_such_a_model(answer, task, told):
    with pytest.raises(BundleError, match=told):
        get_task(task).check(answer, ("ant",))


def batch(*rows):
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


ROWS = {
    "detect": (detections(A, B), detections((0, 0, 10, 10, 0.9 + 1e-6, 0), B), detections((0, 0, 10, 14, 0.9, 0), B)),
    "classify": (logits(1, 2), logits(1, 2 + 1e-6), logits(2, 1)),
    "features": (maps(1, 2), maps(1, 2 + 1e-6), maps(1, 3)),
}


@pytest.mark.parametrize("task", ROWS)
def test_rows_of_a_batch(task):
    sound, noisy, other = ROWS[task]
    for precision in ("fp32", "int8"):
        check_rows(sound, task, precision)
        check_rows(batch(sound, noisy, sound), task, precision)
        with pytest.raises(BundleError, match="in row 3 of a batch than in row 1"):
            check_rows(batch(sound, sound, other), task, precision)


def test_a_row_that_is_no_number():
    sound, broken = maps(1, 2), maps(NAN, 2)
    with pytest.raises(BundleError, match="in row 2"):
        check_rows(batch(sound, broken), "features", "int8")
    check_rows(batch(broken, broken), "features", "int8")  # is told as such elsewhere


def test_a_side_looks_at_every_row(classify_bundle, scenes, monkeypatch):
    with open_side(pvt_edge.read_bundle(classify_bundle), "onnxruntime", "fp32").predictor as predictor:
        prepared = predictor.prepare(Frame(read_image(str(scenes / "scene_0.png"))))
        first = predictor.runtime.infer({"images": prepared.input[None]})
        predictor.batch, side = 2, Side(predictor, "fp32")
        monkeypatch.setattr(predictor.runtime, "infer", lambda fed: batch(first, first))
        assert side.answer(prepared)["logits"].shape == (1, 10)
        monkeypatch.setattr(predictor.runtime, "infer", lambda fed: batch(first, {"logits": -first["logits"]}))
        with pytest.raises(BundleError, match="row 2"):
            side.answer(prepared)
