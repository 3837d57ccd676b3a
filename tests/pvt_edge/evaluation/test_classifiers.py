"""Evaluations of a classifier whose logits are the mean blue, green and red."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

from pvt_edge.bundle.schema import InputSpec, Manifest, Provenance, ResizeSpec
from pvt_edge.bundle.writer import BundleWriter
from pvt_edge.data.classed_pictures import read_image_folder
from pvt_edge.errors import ArgumentError, DataError, RuntimeInputError
from pvt_edge.evaluation import evaluate
from pvt_edge.evaluation.arrays import answers_of
from pvt_edge.runtimes import open_runtime
from pvt_edge.tasks import get_task

COLOURS = ("blue", "green", "red")
HW = (64, 64)


def manifest(task="classify", **fields) -> Manifest:
    provenance = Provenance(pvt_edge="0", created="now", weights="none", versions={}, machine="here")
    plain = {"variant": "b0", "labels": COLOURS, "outputs": ("logits",), "artifacts": (), "provenance": provenance}
    spec = {"input": InputSpec(height=HW[0], width=HW[1], **fields), "resize": ResizeSpec(mode="stretch")}
    return Manifest.model_validate({"task": task, **plain, **spec})


@pytest.fixture(scope="module", params=[1, 2], ids=["batch 1", "batch 2"])
def colours_bundle(request, tmp_path_factory) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["logits"], keepdims=0),
    ]
    axes = helper.make_tensor("axes", kinds.INT64, [2], [1, 2])
    pixels = helper.make_tensor_value_info("images", kinds.UINT8, [request.param, *HW, 3])
    logits = helper.make_tensor_value_info("logits", kinds.FLOAT, [request.param, 3])
    graph = helper.make_graph(nodes, "means", [pixels], [logits], [axes])
    folder = tmp_path_factory.mktemp("bundles") / "means"
    with BundleWriter(folder) as writer:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.save(model, writer.path("model.fp32.onnx"))
        artifact = writer.artifact("onnxruntime", "fp32", "model.fp32.onnx")
        writer.finish(manifest(batch=request.param).model_copy(update={"artifacts": (artifact,)}))
    return folder


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Two blue pictures, a green one, and one that is called red and is green."""
    folder = tmp_path / "pictures"
    for name, channel in (("blue/0", 0), ("blue/1", 0), ("green/0", 1), ("red/0", 1)):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.eye(3, dtype=np.uint8)[channel] * np.full((50, 40, 1), 200, np.uint8))
    return folder


def test_a_folder_of_class_folders(colours_bundle, pictures):
    found = evaluate(colours_bundle, pictures, runtime="onnxruntime")
    (row,) = found.rows
    assert row.figures == {"top1": 0.75, "top5": 1.0, "balanced": pytest.approx(2 / 3)}
    assert {name: figures["top1"] for name, figures in row.classes.items()} == {"blue": 1, "green": 1, "red": 0}
    assert row.classes["blue"]["pictures"] == 2
    assert (found.settings, found.image_ids, row.detections) == (None, (), None)
    with open_runtime("onnxruntime", colours_bundle / "model.fp32.onnx") as runtime:
        task = get_task("classify")
        labelled = task.judge(read_image_folder(pictures, COLOURS), COLOURS, None)
        answers = answers_of(task, labelled, runtime, ResizeSpec(mode="stretch"), COLOURS)
        by_hand = labelled.score([labelled.rate(*answer) for answer in answers]).figures
    assert row.figures == by_hand


@pytest.mark.parametrize(("limit", "error"), [(0, RuntimeInputError), (-1, RuntimeInputError), ("2", ArgumentError)])
def test_a_limit_that_leaves_nothing(colours_bundle, pictures, limit, error):
    with pytest.raises(error, match="limit must be"):
        evaluate(colours_bundle, pictures, runtime="onnxruntime", limit=limit)


def test_a_list(colours_bundle, pictures, tmp_path):
    (tmp_path / "val.txt").write_text("blue/0.png blue\nred/0.png 1\ngreen/0.png\tred\n")
    found = evaluate(colours_bundle, tmp_path / "val.txt", pictures, runtime="onnxruntime")
    assert found.rows[0].figures["top1"] == pytest.approx(2 / 3)
    assert found.notes == ()
    first = evaluate(colours_bundle, tmp_path / "val.txt", pictures, runtime="onnxruntime", limit=1)
    assert (first.rows[0].figures["top1"], first.pictures, first.pictures_in_data) == (1, 1, 3)
    assert first.notes == ("classes without pictures: 2 of 3",)


@pytest.mark.parametrize(
    ("make", "arguments", "error", "told"),
    [
        (lambda folder: (folder / "dgo").mkdir(), {}, DataError, "unknown class 'dgo'"),
        (lambda folder: (folder / "red" / "0.png").write_bytes(b"x"), {}, DataError, "red/0.png: not an image"),
        (lambda folder: None, {"conf": 0.5}, RuntimeInputError, "are a detector's, this bundle's task is classify"),
        (lambda folder: None, {"save_detections": "d.json"}, RuntimeInputError, "are a detector's"),
    ],
)
def test_what_a_classifier_is_not_judged_by(colours_bundle, pictures, make, arguments, error, told, monkeypatch):
    monkeypatch.chdir(pictures.parent)
    make(pictures)
    with pytest.raises(error) as caught:
        evaluate(colours_bundle, pictures, runtime="onnxruntime", **arguments)
    assert told in str(caught.value)


def test_a_coco_file_is_not_for_classifiers(colours_bundle):
    with pytest.raises(DataError, match="a classifier is judged by a folder a class, or a text or CSV file"):
        evaluate(colours_bundle, "instances_val.json")
