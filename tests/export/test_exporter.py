"""export_model from end to end: what it writes, what it refuses, and that nothing breaks an older bundle."""

import hashlib
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import pvt_edge
from pvt_edge.bundle import read_bundle
from pvt_edge.bundle.schema import PostprocessSpec, ResizeSpec
from pvt_edge.checkpoints.preprocessing import normalise
from pvt_edge.errors import (
    ArgumentError,
    BundleError,
    DataError,
    ExportError,
    ImageSizeError,
    PvtEdgeError,
    UnknownNameError,
)
from pvt_edge.export import pictures as export_pictures
from pvt_edge.export.deploy import block
from pvt_edge.export.exporter import provenance
from pvt_edge.export.tasks import task as tolerances
from pvt_edge.models.anchors import Decode
from pvt_edge.options.preprocessing import Preprocessing
from pvt_edge.pictures.resizing import apply, plan, to_original
from pvt_edge.postprocessing import select, softmax
from pvt_edge.runtimes.onnx_file import read_onnx
from pvt_edge.scenes import draw_scene

from .made import build

for package in ("onnx", "onnxruntime", "openvino"):
    pytest.importorskip(package, reason=f"{package} is not installed")

ANIMALS = tuple(f"animal {i}" for i in range(10))
ONNX, XML, BIN = "model.fp32.onnx", "openvino/fp32.xml", "openvino/fp32.bin"


@pytest.fixture(scope="module")
def classify_bundle(classifier, tmp_path_factory):
    """A classifier of 64x64 in ONNX and OpenVINO, fp32, and the steps it told."""
    out, steps = tmp_path_factory.mktemp("bundles") / "animals", []
    bundle = pvt_edge.export_model(
        classifier,
        out,
        imgsz=(64, 64),
        labels=ANIMALS,
        command="pvt-edge export",
        progress=lambda *told: steps.append(told),
    )
    return bundle, steps


@pytest.fixture(scope="module")
def calib(tmp_path_factory):
    """Five drawn pictures and one that is none."""
    folder = tmp_path_factory.mktemp("calib")
    for i in range(5):
        cv2.imwrite(str(folder / f"{i}.png"), draw_scene(50 + i, 96, 128).image)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def detect_bundle(lite, calib, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "cells"
    return pvt_edge.export_model(
        lite,
        str(out),
        precisions=("fp32", "int8"),
        imgsz=(64, 96),
        calib=calib,
        calib_n=6,
        seed=7,
        allow_small=True,
        tune=False,
        labels=["a", "b", "c"],
        postprocess=PostprocessSpec(conf=0.3, iou=0.4, max_det=50),
    )


@pytest.fixture
def picture():
    """A drawn picture of another shape than the input's."""
    return draw_scene(1, 120, 150).image


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def older(classify_bundle, tmp_path):
    """A folder with a bundle in it, alone in its parent."""
    folder = tmp_path / "out" / "b0"
    shutil.copytree(classify_bundle[0].folder, folder)
    return folder


# --- what is written


def test_manifest_of_the_classifier(classify_bundle):
    manifest = classify_bundle[0].manifest
    assert (manifest.variant, manifest.task, manifest.labels) == ("b0", "classify", ANIMALS)
    image = manifest.input
    assert (image.name, image.dtype, image.layout, image.color) == ("images", "uint8", "NHWC", "BGR")
    assert (image.batch, image.dynamic_batch, image.height, image.width) == (1, False, 64, 64)
    assert manifest.output_names == ("logits",)
    assert manifest.spec("fp32") == read_onnx(classify_bundle[0].path(manifest.artifacts[0]))
    assert manifest.resize == ResizeSpec(mode="crop", interpolation="bicubic", crop_fraction=0.875)
    assert (manifest.postprocess, manifest.calibration, manifest.accuracy) == (None, None, None)
    made = manifest.provenance
    assert (made.pvt_edge, made.command) == (pvt_edge.__version__, "pvt-edge export")
    assert (made.weights, made.weights_sha256, made.dialect) == ("a model in memory", None, None)
    assert {"python", "torch", "onnx", "openvino"} <= made.versions.keys()


def test_files_of_the_classifier(classify_bundle):
    bundle, _ = classify_bundle
    assert content(bundle.folder).keys() == {"model.json", ONNX, XML, BIN}
    found = [(a.runtime, a.precision, a.file, [c.file for c in a.companions]) for a in bundle.manifest.artifacts]
    assert found == [("onnxruntime", "fp32", ONNX, []), ("openvino", "fp32", XML, [BIN])]
    for record in (*bundle.manifest.artifacts, *bundle.manifest.artifacts[1].companions):
        held = (bundle.folder / record.file).read_bytes()
        assert (record.sha256, record.bytes) == (hashlib.sha256(held).hexdigest(), len(held))
    assert read_bundle(bundle.folder).manifest == bundle.manifest


def test_names_that_are_not_utf8_are_recorded_as_they_can_be():
    made = provenance("caf\udce9.pth", command="pvt-edge export --weights caf\udce9.pth")
    assert made.weights == r"caf\udce9.pth"
    assert r"--weights caf\udce9.pth" in made.model_dump_json().replace(r"\\", "\\")


def test_each_step_is_told(classify_bundle):
    steps = classify_bundle[1]
    assert [(done, total) for done, total, _ in steps] == [(i, len(steps)) for i in range(len(steps))]
    told = " / ".join(text for _, _, text in steps)
    for step in ("deploy form", "exporting ONNX", "checking ONNX", "converting", "checking OpenVINO", "writing"):
        assert step in told
    assert "quantising" not in told


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_loaded_classifier_gives_the_models_answers(classify_bundle, classifier, picture, runtime):
    bundle, _ = classify_bundle
    resize = bundle.manifest.resize
    pixels = apply(picture, plan(picture.shape[:2], (64, 64), resize), resize)[None]
    with torch.inference_mode():
        wanted = softmax(classifier(normalise(torch.from_numpy(pixels)))[0].numpy())
    with pvt_edge.load(bundle.folder, runtime, precision="fp32", threads=1) as predictor:
        result = predictor(picture)
    assert result.names == ANIMALS
    np.testing.assert_allclose(result.probs.data, wanted, atol=1e-5)
    assert wanted.std() > 0.01


def test_manifest_of_the_detector(detect_bundle, calib):
    manifest = detect_bundle.manifest
    assert (manifest.task, manifest.labels, manifest.output_names) == (
        "detect",
        ("a", "b", "c"),
        ("boxes", "scores", "labels"),
    )
    onnx_file = detect_bundle.path(detect_bundle.artifact("onnxruntime", "fp32"))
    assert manifest.spec("fp32") == read_onnx(onnx_file)
    assert manifest.resize == ResizeSpec(mode="letterbox")
    assert manifest.postprocess == PostprocessSpec(conf=0.3, iou=0.4, max_det=50)
    record = manifest.calibration
    assert (record.source, record.seed, record.count) == (str(calib), 7, 5)
    assert [file.file for file in record.images] == [f"{i}.png" for i in range(5)]
    assert len(record.skipped) == 1
    assert "broken.png" in record.skipped[0]
    found = [(a.runtime, a.precision, a.file) for a in manifest.artifacts]
    assert found == [
        ("onnxruntime", "fp32", ONNX),
        ("onnxruntime", "int8", "model.int8.onnx"),
        ("openvino", "fp32", XML),
        ("openvino", "int8", "openvino/int8.xml"),
    ]
    bytes_of = {file: len(held) for file, held in content(detect_bundle.folder).items()}
    assert bytes_of["openvino/int8.bin"] < 0.5 * bytes_of[BIN]
    assert bytes_of["model.int8.onnx"] < 0.7 * bytes_of[ONNX]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_loaded_detector_gives_the_models_answers(detect_bundle, lite, picture, runtime):
    resize, post = detect_bundle.manifest.resize, detect_bundle.manifest.postprocess
    placement = plan(picture.shape[:2], (64, 96), resize)
    pixels = torch.from_numpy(apply(picture, placement, resize)[None])
    with torch.inference_mode():
        boxes, scores, labels = Decode(lite.config, 3, (64, 96))(*lite(normalise(pixels)))
    wanted = select(
        to_original(boxes[0].numpy(), placement),
        scores[0].numpy(),
        labels[0].numpy(),
        conf=post.conf,
        iou=post.iou,
        max_det=post.max_det,
    )
    with pvt_edge.load(detect_bundle.folder, runtime, precision="fp32", threads=1) as predictor:
        found = predictor(picture).boxes
    assert 5 < len(wanted.conf) == len(found)
    np.testing.assert_allclose(found.conf, wanted.conf, atol=1e-4)
    np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=0.05)
    assert (found.cls == wanted.cls).all()


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_int8_loads_and_runs(detect_bundle, picture, runtime):
    with pvt_edge.load(detect_bundle.folder, runtime, precision="int8", threads=1) as predictor:
        assert predictor.runtime.precision == "int8"
        assert len(predictor(picture).boxes) > 5


def test_bundled_weights_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(export_pictures, "ACCURACY_SCENES", 1)
    model = pvt_edge.create_model("b0", "detect", weights="cells")
    options = {"imgsz": (96, 128), "formats": ("openvino",), "batch": 2}
    manifest = pvt_edge.export_model(model, tmp_path / "b0", **options).manifest
    assert manifest.labels == ("RBC", "WBC", "Platelets")
    assert manifest.provenance.weights == "cells"
    assert manifest.accuracy.data.startswith("1 generated scenes")
    assert manifest.accuracy.metrics.keys() == {"openvino-fp32"}
    assert manifest.accuracy.metrics["openvino-fp32"].keys() >= {"AP", "AP50", "AP RBC"}
    assert [a.file for a in manifest.artifacts] == [XML]
    assert content(tmp_path / "b0").keys() == {"model.json", XML, BIN}


# --- what is refused

REFUSED = {
    "format": ({"formats": ("onx",)}, UnknownNameError, "unknown format 'onx': did you mean 'onnx'?"),
    "precision": ({"precisions": ("int4",)}, UnknownNameError, "unknown precision 'int4': did you mean 'int8'?"),
    "no format": ({"formats": ()}, ExportError, "no format asked for"),
    "no precision": ({"precisions": ()}, ExportError, "no precision asked for"),
    "int8 blind": ({"precisions": ("int8",)}, ExportError, "INT8 needs pictures"),
    "no calibration": ({"precisions": ("int8",), "calib": "images", "calib_n": 0}, ExportError, "calib_n must be"),
    "few pictures": (
        {"precisions": ("int8",), "calib": "images", "calib_n": 15},
        DataError,
        "ask for at least 16, or pass --allow-small",
    ),
    "metric": ({"metric": "agreemnt"}, UnknownNameError, "unknown metric 'agreemnt': did you mean 'agreement'?"),
    "top1 unlabelled": ({"metric": "top1"}, ExportError, "needs labelled pictures: give"),
    "map unlabelled": ({"metric": "map"}, ExportError, "needs labelled pictures: give"),
    "images alone": ({"images": "pictures"}, ExportError, "give the file with --data"),
    "max_drop in percent": ({"max_drop": 2}, ExportError, "max_drop is a fraction of the metric, 0 to 1, got 2"),
    "max_drop below zero": ({"max_drop": -0.1}, ExportError, "got -0.1"),
    "max_drop nan": ({"max_drop": float("nan")}, ArgumentError, "not nan"),
    "size": ({"imgsz": (100, 200)}, ImageSizeError, "the nearest is 96,192"),
    "labels": ({"labels": ("a", "b")}, ExportError, "2 labels for a model of 10 classes"),
    "no labels": ({"labels": ()}, ExportError, "0 labels for a model of 10 classes"),
    "seed": ({"precisions": ("int8",), "calib": "images", "seed": -1}, ExportError, "seed must be 0 or more, got -1"),
    "mean alone": ({"preprocessing": Preprocessing(mean=0.5)}, ExportError, "mean needs three numbers"),
    "mean nan": ({"preprocessing": Preprocessing(mean=(math.nan, 1, 1))}, ExportError, "mean needs three numbers"),
    "std nan": ({"preprocessing": Preprocessing(std=(1, 1, math.nan))}, ExportError, "std needs three numbers"),
    "std text": ({"preprocessing": Preprocessing(std=("a", "b", "c"))}, ExportError, "std needs three numbers"),
    "crop text": ({"preprocessing": Preprocessing(crop="0.5")}, ExportError, "crop is a fraction"),
    "batch": ({"batch": 0}, ExportError, "batch must be at least 1, got 0"),
    "calibration that is not there": (
        {"precisions": ("int8",), "calib": "/nowhere/at/all", "imgsz": (64, 64)},
        DataError,
        "there is no",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_requests_refused(what, classifier, tmp_path):
    options, kind, told = REFUSED[what]
    with pytest.raises(kind) as caught:
        pvt_edge.export_model(classifier, tmp_path / "out", **options)
    assert told in str(caught.value)
    assert isinstance(caught.value, PvtEdgeError)
    assert list(tmp_path.iterdir()) == []


def test_labels_for_features_are_refused(tmp_path):
    with pytest.raises(ExportError, match="1 labels for a model of 0 classes"):
        pvt_edge.export_model(build("features", "b0"), tmp_path / "out", labels=["a"])


def test_a_folder_under_a_file(classifier, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match=r"cannot write .*part of that path is a file"):
        pvt_edge.export_model(classifier, tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_is_no_bundle(classifier, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BundleError, match="neither empty nor a bundle"):
        pvt_edge.export_model(classifier, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# --- an older bundle in the way of failures


def test_int8_alone(lite, calib, older):
    # also: an export replaces an older bundle, whole
    steps = []
    options = {"precisions": ("int8",), "imgsz": (32, 64), "calib": calib, "calib_n": 2}
    options |= {"allow_small": True, "tune": False}
    bundle = pvt_edge.export_model(lite, older, progress=lambda *told: steps.append(told), **options)
    assert steps[-1][0] == steps[-1][1] - 1
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    # what OpenVINO may run in bfloat16 instead is always written
    found = [(a.runtime, a.precision) for a in bundle.manifest.artifacts]
    assert found == [("onnxruntime", "int8"), ("openvino", "fp32"), ("openvino", "int8")]
    assert ONNX not in content(older)
    assert read_bundle(older).manifest == bundle.manifest
    assert [path.name for path in older.parent.iterdir()] == ["b0"]


@pytest.mark.parametrize(("constant", "step"), [("TENSOR_TOLERANCE", "onnxruntime fp32")])
def test_a_failed_check_keeps_the_older_bundle(classifier, older, monkeypatch, constant, step):
    before = content(older)
    monkeypatch.setattr(tolerances, constant, 0.0)
    with pytest.raises(ExportError, match=f"{step} does not give the model's answers"):
        pvt_edge.export_model(classifier, older, imgsz=(64, 96), formats=("onnx",))
    assert content(older) == before
    assert [path.name for path in older.parent.iterdir()] == ["b0"]


def test_a_wrong_deploy_form_is_not_exported(classifier, tmp_path, monkeypatch):
    """The check is against the model as trained, not against its own rewrite."""
    monkeypatch.setattr(block, "scale_linear", lambda linear, factor: linear)  # attention without its scale
    with pytest.raises(ExportError, match="onnxruntime fp32 does not give the model's answers"):
        pvt_edge.export_model(classifier, tmp_path / "b0", imgsz=(64, 96), formats=("onnx",))
    assert not (tmp_path / "b0").exists()


CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit "ignore"
import pvt_edge

def tell(done, total, step):
    print(step, flush=True)
    if step.startswith("checking ONNX"):  # the new ONNX file is written by now
        time.sleep(120)

pvt_edge.export_model(pvt_edge.create_model("b0", num_classes=10), sys.argv[1], imgsz=(32, 32), progress=tell)
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_an_export_that_is_killed_keeps_the_older_bundle(older, picture, sign):
    before = content(older)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(older)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd="/",  # not the checkout, whose pvt_edge folder is not the whole package
    ) as child:
        for line in child.stdout:
            if line.startswith("checking ONNX"):
                break
        (litter,) = [path for path in older.parent.iterdir() if path != older]
        assert (litter / ONNX).stat().st_size > 1e6  # it is well under way
        child.send_signal(sign)
        child.communicate(timeout=60)
    assert child.returncode != 0
    assert content(older) == before
    if sign == signal.SIGINT:
        assert [path.name for path in older.parent.iterdir()] == ["b0"]
    with pvt_edge.load(older, "openvino", precision="fp32", threads=1) as predictor:
        assert predictor(picture).probs.data.shape == (10,)
