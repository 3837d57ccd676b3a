"""Public calls with arguments of the wrong kind: a line that says what would do, and never an inner function's name."""

from pathlib import Path

import numpy as np
import pytest

import pvt_edge
from pvt_edge.bundle.writer import BundleWriter
from pvt_edge.errors import ArgumentError, BundleError, ImageSizeError, PvtEdgeError, UnknownNameError, WeightsError
from pvt_edge.evaluation.record import Evaluation, Row
from pvt_edge.verification.report import ArtifactRow, PictureRow, VerifyReport

from .predictor.finder import ColourFinder, manifest

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model():
    return pvt_edge.create_model("b0", num_classes=3)


@pytest.fixture(scope="module")
def files(tmp_path_factory, model):
    """A folder with a checkpoint, a bundle and a text."""
    folder = tmp_path_factory.mktemp("misuse")
    pvt_edge.save_weights(model, folder / "pvt_v2_b2.safetensors")
    with BundleWriter(folder / "bundle") as writer:
        writer.path("model.fp32.onnx").write_bytes(b"no graph")
        artifact = writer.artifact("onnxruntime", "fp32", "model.fp32.onnx")
        writer.finish(manifest("classify").model_copy(update={"artifacts": (artifact,)}))
    (folder / "notes.txt").write_text("notes")
    return folder


def refused(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, PvtEdgeError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((None,), {}, PvtEdgeError, "no variant given"),
        (("B9",), {}, UnknownNameError, "unknown variant 'B9'"),
        (("x/pvt_v2_b3.pth",), {}, ArgumentError, r"create_model\('b3', weights='x/pvt_v2_b3.pth'\)"),
        ((Path("x.safetensors"),), {}, ArgumentError, r"create_model\('b0', weights='x.safetensors'\)"),
        (("b0",), {"tsk": "detect"}, ArgumentError, r"create_model\(\) has no argument 'tsk': did you mean 'task'"),
        (("b0", None), {}, ArgumentError, "task must be a name, not None"),
        (("b0",), {"num_classes": "10"}, ArgumentError, "num_classes must be a whole number, not '10'"),
        (("b0",), {"num_classes": True}, ArgumentError, "not True"),
        (("b0",), {"num_classes": 2.5}, ArgumentError, "not 2.5"),
        (("b0",), {"weights": {"a": 1}}, ArgumentError, "weights must be a path .*not a dict"),
        (("b0",), {"weights": ""}, ArgumentError, "weights must be a path"),
        (("b0", "detect"), {"head": {}}, ArgumentError, "retinanet, lite or a HeadConfig, not a dict"),
        (("b0", "detect"), {"head": "retina"}, UnknownNameError, "did you mean 'retinanet'"),
        (("b0",), {"drop_path": 1.5}, ArgumentError, "drop_path must be 0 or more and less than 1, not 1.5"),
        (("b0",), {"drop_path": "0.1"}, ArgumentError, "drop_path must be a number"),
    ],
)
def test_create_model(arguments, options, error, words):
    refused(lambda: pvt_edge.create_model(*arguments, **options), error, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": "256"}, "width must be a whole number"),
        ({"levels": 2}, "levels must be 3 to 5"),
        ({"depth": -1}, "depth"),
        ({"ratios": (0.0, 1.0)}, "ratios must be numbers above 0"),
        ({"ratios": ("1",)}, "ratios must be numbers above 0"),
        ({"scales": ()}, "scales must be numbers above 0"),
        ({"base_sizes": (8, 16)}, "base_sizes must be 5, one a level"),
        ({"center_offset": float("nan")}, "center_offset must be a finite number"),
    ],
)
def test_head_config(options, words):
    refused(lambda: pvt_edge.HeadConfig(**options), ArgumentError, words)


def test_load_weights(files, model):
    path = files / "pvt_v2_b2.safetensors"
    for call, error, words in (
        (lambda: pvt_edge.load_weights(path, model), ArgumentError, r"load_weights\(model, '.*b2.safetensors'\)"),
        (lambda: pvt_edge.load_weights("b0", path), ArgumentError, r"create_model\('b0', weights="),
        (lambda: pvt_edge.load_weights(None, path), ArgumentError, "a model made by create_model, not None"),
        (lambda: pvt_edge.load_weights(torch.nn.Linear(1, 1), path), WeightsError, "not to a Linear"),
        (lambda: pvt_edge.load_weights(model, None), ArgumentError, "path must be a path .*not None"),
        (lambda: pvt_edge.load_weights(model, model.state_dict()), ArgumentError, "not a OrderedDict"),
        (lambda: pvt_edge.load_weights(model, files / "bundle"), WeightsError, r"is a bundle.*pvt_edge\.load\("),
        (lambda: pvt_edge.load_weights(model, files / "nothing.pth"), WeightsError, "no such file"),
        (lambda: pvt_edge.load_weights(model, path, reinit=True), ArgumentError, "did you mean 'reinit_head'"),
    ):
        refused(call, error, words)


def test_save_weights(files, model, tmp_path):
    path = tmp_path / "w.safetensors"
    for call, error, words in (
        (lambda: pvt_edge.save_weights(path, model), ArgumentError, r"save_weights\(model, '"),
        (lambda: pvt_edge.save_weights(model, 5), ArgumentError, "path must be a path .*not 5"),
        (lambda: pvt_edge.save_weights(torch.nn.Linear(1, 1), path), WeightsError, "not to a Linear"),
        (lambda: pvt_edge.save_weights(model, path, metadata=["a"]), ArgumentError, "metadata must be a dict"),
        (lambda: pvt_edge.save_weights(model, path, haf=True), ArgumentError, "did you mean 'half'"),
    ):
        refused(call, error, words)
    assert not path.exists()


def test_to_deploy_form(model):
    for call, error, words in (
        (lambda: pvt_edge.to_deploy_form("b0", (64, 64)), ArgumentError, r"create_model\('b0'"),
        (lambda: pvt_edge.to_deploy_form(torch.nn.Linear(1, 1), (64, 64)), ArgumentError, "not a Linear"),
        (lambda: pvt_edge.to_deploy_form(model, "64"), ArgumentError, r"imgsz must be \(height, width\)"),
        (lambda: pvt_edge.to_deploy_form(model, (64, 64, 3)), ArgumentError, r"not \(64, 64, 3\)"),
        (lambda: pvt_edge.to_deploy_form(model, (64.0, 64)), ArgumentError, "not 64.0"),
        (lambda: pvt_edge.to_deploy_form(model, 65), ImageSizeError, "nearest is 64,64"),
        (lambda: pvt_edge.to_deploy_form(model, 64, size=3), ArgumentError, "has no argument 'size'"),
    ):
        refused(call, error, words)
    assert pvt_edge.to_deploy_form(model, 64)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"precision": "int8"},
            ArgumentError,
            r"export_model\(\) has no argument 'precision': did you mean 'precisions'",
        ),
        ({"formats": "onyx"}, UnknownNameError, "unknown format 'onyx': did you mean 'onnx'"),
        ({"formats": 1}, ArgumentError, "formats must be names"),
        ({"precisions": [8]}, ArgumentError, r"precisions must be names .*not \[8\]"),
        ({"imgsz": "640"}, ArgumentError, "imgsz must be"),
        ({"imgsz": (640,)}, ArgumentError, r"not \(640,\)"),
        ({"imgsz": 100}, ImageSizeError, "nearest is 96,96"),
        ({"labels": "labels.txt"}, ArgumentError, "labels must be a list of names"),
        ({"labels": {0: "a", 1: "b", 2: "c"}}, ArgumentError, "not a dict"),
        ({"labels": ["a"]}, PvtEdgeError, "1 labels for a model of 3 classes"),
        ({"calib": np.zeros((2, 8, 8, 3), np.uint8)}, ArgumentError, r"calib must be a path .*of shape \(2, 8, 8, 3\)"),
        ({"calib_n": "9"}, ArgumentError, "calib_n must be a whole number"),
        ({"batch": 1.0}, ArgumentError, "batch must be a whole number"),
        ({"max_drop": "1%"}, ArgumentError, "max_drop must be a number"),
        ({"resize": "letterbx"}, UnknownNameError, "did you mean 'letterbox'"),
        ({"resize": 5}, ArgumentError, "resize must be letterbox"),
        ({"postprocess": {"conf": 0.1}}, ArgumentError, "postprocess must be a PostprocessSpec"),
    ],
)
def test_options_of_export_model(model, tmp_path, options, error, words):
    refused(lambda: pvt_edge.export_model(model, tmp_path / "out", **options), error, words)
    assert not list(tmp_path.iterdir())


def test_export_model(files, model, tmp_path):
    path, out = files / "pvt_v2_b2.safetensors", tmp_path / "out"
    for call, words in (
        (lambda: pvt_edge.export_model("x.pth", out), r"create_model\('b0', weights='x.pth'\)"),
        (lambda: pvt_edge.export_model(path, out), r"create_model\('b2', weights='.*b2.safetensors'\)"),
        (lambda: pvt_edge.export_model("b2-li", out), r"create_model\('b2-li', weights='imagenet'\)"),
        (lambda: pvt_edge.export_model(files / "bundle", out), r"that is a bundle.*pvt_edge\.load\("),
        (lambda: pvt_edge.export_model(out, model), r"export_model\(model, out\)"),
        (lambda: pvt_edge.export_model(torch.nn.Linear(1, 1), out), "not a Linear"),
        (lambda: pvt_edge.export_model(model.state_dict(), out), "not a OrderedDict"),
        (lambda: pvt_edge.export_model(None, out), "not None"),
        (lambda: pvt_edge.export_model(model, None), "out must be a path"),
    ):
        refused(call, ArgumentError, words)
    assert not out.exists()


def test_load_and_read_bundle(files, model):
    bundle = files / "bundle"
    for call in (pvt_edge.load, pvt_edge.read_bundle):
        for given, error, words in (
            (None, ArgumentError, "the bundle must be a path .*not None"),
            (model, ArgumentError, "not a Classifier"),
            ("", ArgumentError, "not ''"),
            (
                files / "pvt_v2_b2.safetensors",
                BundleError,
                f"a file, not a bundle: a checkpoint becomes one with pvt-edge export --weights {files}/pvt",
            ),
            (bundle / "model.fp32.onnx", BundleError, f"give its folder, {bundle}"),
            (bundle / "model.json", BundleError, f"give its folder, {bundle}"),
            (files / "notes.txt", BundleError, "give the folder that holds model.json"),
            (files, BundleError, "holds no model.json"),
        ):
            refused(lambda call=call, given=given: call(given), error, words)
    refused(lambda: pvt_edge.load(bundle, precison="int8"), ArgumentError, "did you mean 'precision'")
    refused(lambda: pvt_edge.load(bundle, None), ArgumentError, "runtime must be a name, not None")
    refused(lambda: pvt_edge.load(bundle, precision=8), ArgumentError, "precision must be a name, not 8")
    refused(lambda: pvt_edge.load(bundle, device=0), ArgumentError, "device must be a name, not 0")
    refused(lambda: pvt_edge.load("a\0b"), ArgumentError, "must be a path")
    refused(lambda: pvt_edge.load(bundle, threads="2"), ArgumentError, "threads must be a whole number")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": None}, r"verify\(\) takes a path, .*not None"),
        ({"images": [None]}, "each image of the list must be a path"),
        ({"images": np.zeros((8, 8, 3), np.uint8)}, r"not a ndarray of shape \(8, 8, 3\)"),
        ({"artifacts": [1]}, "artifacts must be names"),
        ({"limit": "5"}, "limit must be a whole number"),
        ({"conf": "0.5"}, "conf must be a number"),
        ({"out": 5}, "out must be a path"),
        ({"max_box": 1}, "has no argument 'max_box': did you mean 'max_box_px'"),
    ],
)
def test_verify(files, options, words):
    refused(lambda: pvt_edge.verify(files / "bundle", **({"images": str(files)} | options)), ArgumentError, words)


def test_result_and_predictor(tmp_path):
    refused(lambda: pvt_edge.Result(None, ("a",)), ArgumentError, "an image .*not None")
    assert pvt_edge.Result(np.zeros((2, 2, 3), np.uint8), ["a"]).names == ("a",)
    refused(lambda: pvt_edge.Predictor(tmp_path, ColourFinder()), ArgumentError, r"pvt_edge\.load\(")


def test_bundles_and_reports_are_a_line(files, model):
    bundle = pvt_edge.read_bundle(files / "bundle")
    assert repr(bundle) == f"Bundle('{files / 'bundle'}', b0 classify: onnxruntime fp32)"
    assert (
        repr(bundle.manifest) == str(bundle.manifest) == "Manifest(b0 classify, 160x160 pixels, 3 labels, 1 artifacts)"
    )
    report = repr(pvt_edge.load_weights(model, files / "pvt_v2_b2.safetensors"))
    assert report.startswith("WeightsReport(pvt_v2_b2.safetensors: b0 in the native dialect")
    assert "\n" not in report
    assert len(report) < 200
    row = ArtifactRow(
        "openvino int8", {"f1": 0.9}, {"f1": 0.98}, ("f1 is low",), (PictureRow("a.jpg", {"f1": 0.9}, 5.0),)
    )
    at = (Path("b0"), "openvino fp32", Path("b0"), "detect", "images/", 9, 9, 0, 0.25)
    assert repr(VerifyReport(*at, artifacts=(row,) * 3)).startswith(
        "VerifyReport(Outside tolerance against openvino fp32"
    )
    judged = Row("openvino", "int8", "cpu", {"AP": 0.5, "AP50": 0.75}, {"RBC": {"AP": 0.5}}, {"inference": 1.0}, 9.0)
    evaluation = Evaluation(Path("b0"), "detect", Path("v.json"), Path("images"), 9, 9, None, (judged,))
    assert repr(evaluation) == "Evaluation('b0' on 9 pictures: openvino int8 AP 0.500)"
