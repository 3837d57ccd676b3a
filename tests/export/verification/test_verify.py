"""verify: what it compares, what it is given that it cannot use, and what it writes."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest

import pvt_edge
from pvt_edge.bundle.schema import ResizeSpec
from pvt_edge.errors import BundleError, DataError, RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.pictures.resizing import plan
from pvt_edge.runtimes import missing
from pvt_edge.runtimes.cuda import probe_cuda
from pvt_edge.sources import Frame
from pvt_edge.verification.side import Side, in_input_pixels, open_side

from .faults import copy_bundle, cut_output, drop_bias, edit_manifest, map_labels, plant, poison, refresh

FP32, XML = "model.fp32.onnx", "openvino/fp32.xml"
ONE = {"artifacts": ["openvino:fp32"], "limit": 1}  # the quickest thing there is to compare


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# --- what is compared with what


def test_the_report_of_one_artifact(cells_bundle, scenes, tmp_path):
    told = []
    report = pvt_edge.verify(
        cells_bundle, images=str(scenes), **ONE, out=tmp_path / "v", progress=lambda *step: told.append(step)
    )
    assert report
    assert (report.reference, report.reference_bundle, report.bundle) == (
        "onnxruntime fp32", cells_bundle.resolve(), cells_bundle.resolve(),
    )  # fmt: skip
    (row,) = report.artifacts
    assert row.name == "openvino fp32"
    assert row.figures["f1"] == 1
    assert 0 < row.figures["box_px"] < 1e-3
    assert len(row.pictures) == 1
    assert told == [(1, 1)]
    assert report.folder == (tmp_path / "v").resolve()


def test_a_named_reference(cells_bundle, scenes):
    report = pvt_edge.verify(cells_bundle, images=scenes, artifacts=["onnxruntime"], reference="openvino:int8", limit=1)
    assert report, report.failures
    assert report.reference == "openvino int8"
    assert [row.name for row in report.artifacts] == ["onnxruntime fp32", "onnxruntime int8"]
    assert report.artifacts[0].limits["f1"] == 0.98  # the looser side's


def test_the_same_bundle_twice(cells_bundle, scenes, tmp_path):
    copy = copy_bundle(cells_bundle, tmp_path / "copy", FP32)
    report = pvt_edge.verify(copy, images=scenes, against=cells_bundle, limit=1)
    assert report
    assert list(report.artifacts[0].figures.values()) == [1, 0, 0]


def test_a_limit_of_ones_own(cells_bundle, scenes):
    report = pvt_edge.verify(cells_bundle, images=scenes, artifacts=["openvino:int8"], limit=2, max_score_drift=1e-5)
    assert not report
    (line,) = report.failures
    assert line.startswith("openvino int8: score drift 0.00")
    assert "above the most allowed, 1e-05; worst on scene_" in line


def test_boxes_are_those_of_the_picture_whatever_its_size(cells_bundle, scenes):
    """Two bundles may prepare a picture differently: only in its own pixels can they be compared."""
    small = cv2.imread(str(scenes / "scene_0.png"))
    with open_side(pvt_edge.read_bundle(cells_bundle), "onnxruntime", "fp32").predictor as predictor:
        side = Side(predictor, "fp32")
        sides = [side.answer(predictor.prepare(Frame(image))) for image in (small, cv2.resize(small, None, fx=2, fy=2))]
    best = [arrays["boxes"][0][arrays["scores"][0].argmax()] for arrays in sides]
    assert best[1] == pytest.approx(2 * best[0], abs=4)


def test_drift_is_counted_in_pixels_of_the_input():
    placement = plan((960, 1280), (480, 640), ResizeSpec(mode="letterbox"))
    arrays = in_input_pixels({"boxes": np.full((1, 1, 4), 8, np.float32), "scores": np.ones((1, 1))}, placement)
    assert (arrays["boxes"] == 4).all()
    assert (arrays["scores"] == 1).all()


def test_frames_of_a_video(cells_bundle, scenes, tmp_path):
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    for path in sorted(scenes.iterdir()):
        writer.write(cv2.imread(str(path)))
    writer.release()
    report = pvt_edge.verify(cells_bundle, images=clip, artifacts=["openvino:fp32"], limit=2)
    assert report
    names = [p.picture for p in report.artifacts[0].pictures]
    assert len(names) == 2
    assert set(names) < {"frame 0", "frame 1", "frame 2"}


# --- pictures and artifacts that cannot be used


def test_unreadable_pictures_are_named(cells_bundle, scenes, tmp_path):
    (tmp_path / "a_broken.png").write_bytes(b"no picture")
    shutil.copy(scenes / "scene_0.png", tmp_path)
    report = pvt_edge.verify(cells_bundle, images=tmp_path, artifacts=["openvino:fp32"])
    assert report
    assert report.pictures == 1
    assert "a_broken.png" in report.unread[0]


@pytest.mark.parametrize("content", [{}, {"note.txt": b"x"}, {"a.png": b"x", "b.png": b""}], ids=len)
def test_no_picture_is_an_error(cells_bundle, tmp_path, content):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=r"no images in|can be read"):
        pvt_edge.verify(cells_bundle, images=tmp_path, **ONE)


def test_pictures_that_show_nothing_are_no_proof(cells_bundle, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((480, 640, 3), 127, np.uint8))
    report = pvt_edge.verify(cells_bundle, images=tmp_path, **ONE)
    assert not report
    assert "neither side detects anything above 0.25" in report.failures[0]


def test_nan_is_found(cells_bundle, scenes, tmp_path):
    fault = poison("stages.3.blocks.0.mlp.fc1.bias")
    spoilt = plant(copy_bundle(cells_bundle, tmp_path / "copy", FP32, XML), FP32, fault)
    report = pvt_edge.verify(spoilt, images=scenes, reference="openvino:fp32", artifacts=["onnxruntime:fp32"], limit=2)
    assert (
        "onnxruntime fp32: boxes, scores infinite or undefined on 2 of 2 pictures, first on scene_"
        in report.failures[0]
    )
    report = pvt_edge.verify(spoilt, images=scenes, artifacts=["openvino:fp32"], limit=1, out=tmp_path / "v")
    assert not report
    assert "the reference's boxes, scores infinite" in report.failures[0]
    assert files(tmp_path / "v") == ["contact_sheet.jpg", "report.json", "report.md"]
    json.loads((tmp_path / "v" / "report.json").read_text(), parse_constant=pytest.fail)


def with_engine(bundle, out, *files, library="tensorrt"):
    """A copy with a TensorRT engine in it, of zeros."""
    copy = copy_bundle(bundle, out, *files)
    (copy / "int8.engine").write_bytes(b"\0" * 64)
    content = json.loads((copy / "model.json").read_text())
    engine = {**content["artifacts"][0], "file": "int8.engine", "runtime": library, "precision": "int8"}
    edit_manifest(copy, artifacts=[*content["artifacts"], engine])
    return refresh(copy)


@pytest.mark.parametrize("library", ["tensorrt", "tensorrt-rtx"])
def test_a_runtime_that_is_not_here_is_skipped_and_said(cells_bundle, scenes, tmp_path, library):
    if not missing(library):
        try:
            probe_cuda()
        except RuntimeMissingError:
            pass  # the library without a GPU
        else:
            pytest.skip(f"{library} and a GPU are here")
    copy = with_engine(cells_bundle, tmp_path / "copy", FP32, XML, library=library)
    report = pvt_edge.verify(copy, images=scenes, limit=1)
    assert report
    ((name, reason),) = [row for row in report.skipped if "bf16" not in row[0]]
    assert name == f"{library} int8"
    assert "install" in reason


def test_nothing_to_compare_is_an_error(cells_bundle, scenes, tmp_path):
    with pytest.raises(RuntimeMissingError, match=r"no artifact to compare with its onnxruntime fp32.*--against"):
        pvt_edge.verify(copy_bundle(cells_bundle, tmp_path / "a", FP32), images=scenes)
    if missing("tensorrt"):
        with pytest.raises(RuntimeMissingError, match="can be compared with onnxruntime fp32 here: tensorrt int8: "):
            pvt_edge.verify(with_engine(cells_bundle, tmp_path / "b", FP32), images=scenes)


def test_what_is_asked_for_by_name_is_not_skipped(cells_bundle, scenes, tmp_path):
    if not missing("tensorrt"):
        pytest.skip("TensorRT is installed here")
    copy = with_engine(cells_bundle, tmp_path / "copy", FP32, XML)
    with pytest.raises(RuntimeMissingError, match="the tensorrt runtime needs tensorrt"):
        pvt_edge.verify(copy, images=scenes, limit=1, artifacts=["openvino:fp32", "tensorrt:int8"])


def test_an_edited_artifact_fails_and_the_others_are_compared(cells_bundle, scenes, tmp_path):
    copy = copy_bundle(cells_bundle, tmp_path / "copy", FP32, XML, "model.int8.onnx")
    with (copy / "model.int8.onnx").open("ab") as file:
        file.write(b"x")
    report = pvt_edge.verify(copy, images=scenes, limit=1)
    (line,) = report.failures
    assert line.startswith("onnxruntime int8: cannot be run: ")
    assert "was edited" in line
    assert [bool(row) for row in report.artifacts if row.name != "onnxruntime int8"].count(False) == 0


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (map_labels(1, 2, 3), "knows 4 classes and model.json names 3"),
        (map_labels(-1, 0, 1), "gives the class id -1"),
        (cut_output("boxes", 2, 3), r"gives boxes \(1, \d+, 3\)"),
        (cut_output("scores", 1, 8), r"scores \(1, 8\)"),
    ],
    ids=["an id too high", "a negative id", "three corners", "few scores"],
)
def test_what_is_no_answer_fails_and_the_others_are_compared(cells_bundle, scenes, tmp_path, fault, told):
    copy = copy_bundle(cells_bundle, tmp_path / "copy", FP32, XML, "model.int8.onnx")
    plant(copy, "model.int8.onnx", fault)
    artifacts = ["openvino:fp32", "onnxruntime:int8"]
    report = pvt_edge.verify(copy, images=scenes, limit=1, artifacts=artifacts, out=tmp_path / "v")
    assert [(row.name, bool(row)) for row in report.artifacts] == [("openvino fp32", True), ("onnxruntime int8", False)]
    (line,) = report.failures
    assert re.match(rf"onnxruntime int8: failed on scene_\d.png: .*{told}", line)
    assert report.verdict == "Failed before it could be compared with onnxruntime fp32: onnxruntime int8."
    assert files(tmp_path / "v") == ["contact_sheet.jpg", "report.json", "report.md"]


def test_a_reference_that_gives_no_answer_is_an_error(classify_bundle, scenes, tmp_path):
    few = edit_manifest(copy_bundle(classify_bundle, tmp_path / "copy", FP32, XML), labels=["a", "b", "c"])
    told = "the reference onnxruntime fp32 failed on scene_.*: knows 10 classes and model.json names 3"
    with pytest.raises(BundleError, match=told):
        pvt_edge.verify(few, images=scenes, limit=1)


def test_a_runtime_that_has_only_the_reference(cells_bundle, scenes, tmp_path):
    copy = copy_bundle(cells_bundle, tmp_path / "copy", FP32, XML)
    with pytest.raises(RuntimeInputError, match="onnxruntime:fp32 is the reference"):
        pvt_edge.verify(copy, images=scenes, artifacts=["onnxruntime"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_det": 1}, "max_det 1 against 100"),
        ({"iou": 0.01}, "iou 0.01 against 0.6"),
        ({"conf": 0.9, "max_det": 1}, "conf 0.9 against 0.25, max_det 1 against 100"),
    ],
)
def test_another_postprocessing_is_told(cells_bundle, scenes, tmp_path, changes, told):
    other = edit_manifest(copy_bundle(cells_bundle, tmp_path / "copy", FP32), postprocess=changes)
    report = pvt_edge.verify(other, images=scenes, against=cells_bundle, limit=1)
    assert report.failures == (f"onnxruntime fp32: postprocessing in model.json differs: {told}",)


def test_a_threshold_that_is_given_takes_the_place_of_both(cells_bundle, scenes, tmp_path):
    other = edit_manifest(copy_bundle(cells_bundle, tmp_path / "copy", FP32), postprocess={"conf": 0.9})
    assert not pvt_edge.verify(other, images=scenes, against=cells_bundle, limit=1)
    assert pvt_edge.verify(other, images=scenes, against=cells_bundle, limit=1, conf=0.3)


REFUSED = {
    "another task": ({"max_feature_error": 0.1}, RuntimeInputError, "does not judge a detect bundle"),
    "a share above 1": ({"min_f1": 1.5}, RuntimeInputError, "min_f1 must be a number from 0 to 1, got 1.5"),
    "nan": ({"max_box_px": float("nan")}, RuntimeInputError, "max_box_px must be a number from 0"),
    "seed": ({"seed": -1}, RuntimeInputError, "seed must be at least 0, got -1"),
    "the reference itself": (
        {"artifacts": ["onnxruntime:fp32", "openvino:int8"]},
        RuntimeInputError,
        "onnxruntime:fp32 is the reference, .* choose another with --reference",
    ),
    "no pictures": ({"limit": 0}, RuntimeInputError, "at least 1"),
    "conf": ({"conf": 2}, RuntimeInputError, "conf must be"),
    "runtime": ({"artifacts": ["openvion:int8"]}, UnknownNameError, "did you mean 'openvino'"),
    "precision": ({"artifacts": ["openvino:int4"]}, UnknownNameError, "did you mean 'int8'"),
    "not in it": ({"artifacts": ["onnxruntime:fp16"]}, BundleError, "has no onnxruntime fp16"),
    "reference": ({"reference": "openvino"}, RuntimeInputError, "write RUNTIME:PRECISION"),
    "reference not in it": ({"reference": "tensorrt:fp32"}, BundleError, "has no tensorrt fp32"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(cells_bundle, scenes, what):
    options, error, told = REFUSED[what]
    with pytest.raises(error, match=told):
        pvt_edge.verify(cells_bundle, images=scenes, **options)


def test_bundles_of_other_models_are_refused(cells_bundle, classify_bundle, scenes, tmp_path):
    with pytest.raises(BundleError, match="their task differ"):
        pvt_edge.verify(cells_bundle, images=scenes, against=classify_bundle)
    other = edit_manifest(copy_bundle(cells_bundle, tmp_path / "copy", FP32), labels=["RBC", "Platelets", "WBC"])
    with pytest.raises(BundleError, match="labels RBC, WBC, Platelets against 3 labels RBC, Platelets, WBC"):
        pvt_edge.verify(cells_bundle, images=scenes, against=other)


def test_a_bundle_without_fp32(cells_bundle, scenes, tmp_path):
    copy = copy_bundle(cells_bundle, tmp_path / "copy", "model.int8.onnx")
    with pytest.raises(BundleError, match=r"no fp32 artifact to compare with: .*--reference.*--against"):
        pvt_edge.verify(copy, images=scenes)
    assert pvt_edge.verify(copy, images=scenes, against=cells_bundle, limit=1)


# --- what is written


def test_files_replace_those_of_an_older_run_and_nothing_else(cells_bundle, scenes, tmp_path):
    out = tmp_path / "v"
    pvt_edge.verify(cells_bundle, images=scenes, **ONE, out=out)
    first = json.loads((out / "report.json").read_text())
    assert (first["within"], first["pictures"]) == (True, 1)
    assert first["artifacts"][0]["limits"] == {"min_f1": 0.999, "max_box_px": 1e-3, "max_score_drift": 1e-5}
    page = (out / "report.md").read_text()
    assert page.startswith("# Within tolerance")
    assert "![" in page
    assert cv2.imread(str(out / "contact_sheet.jpg")) is not None
    pvt_edge.verify(cells_bundle, images=scenes, **ONE, out=out, max_box_px=0)
    assert json.loads((out / "report.json").read_text())["within"] is False
    (out / "mine.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds files that verify did not write \(mine.txt\)"):
        pvt_edge.verify(cells_bundle, images=scenes, **ONE, out=out)
    with pytest.raises(DataError, match="holds files that verify did not write"):  # a bundle stays a bundle
        pvt_edge.verify(cells_bundle, images=scenes, **ONE, out=cells_bundle)
    assert files(tmp_path) == ["v"]


def test_a_run_that_fails_leaves_the_older_files(cells_bundle, scenes, tmp_path, monkeypatch):
    from pvt_edge.verification import page

    out = tmp_path / "v"
    pvt_edge.verify(cells_bundle, images=scenes, **ONE, out=out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page, "page", full)
    with pytest.raises(DataError, match="No space left on device: choose another place with --out"):
        pvt_edge.verify(cells_bundle, images=scenes, **ONE, out=out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert files(tmp_path) == ["v"]


def test_a_dropped_bias_of_a_key_changes_nothing(cells_bundle, scenes, tmp_path):
    """Softmax takes no notice of what all keys share: no fault that any answer could show."""
    spoilt = plant(copy_bundle(cells_bundle, tmp_path / "copy", FP32), FP32, drop_bias("stages.2.blocks.0.attn.k"))
    assert pvt_edge.verify(spoilt, images=scenes, against=cells_bundle)
