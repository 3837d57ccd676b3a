"""Evaluations of a detector: what counts, by which names, and what is refused."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

from pvt_edge.bundle import read_bundle
from pvt_edge.data.coco import read_coco
from pvt_edge.errors import BundleError, DataError, RuntimeInputError, RuntimeMissingError, UnknownNameError
from pvt_edge.evaluation import evaluate
from pvt_edge.evaluation.inputs import choose_artifacts
from pvt_edge.metrics.labelled import match_classes
from pvt_edge.scenes import write_scenes

LABELS = ("RBC", "WBC", "Platelets")
COUNT = 3


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    """A COCO file of generated scenes, whose pictures are in images/ beside it."""
    return write_scenes(tmp_path_factory.mktemp("scenes"), COUNT, seed=11)


@pytest.fixture
def edited(scenes, tmp_path):
    """The function (change of the content) -> such a COCO file, with the pictures beside it."""

    def edit(change) -> Path:
        content = json.loads(scenes.read_text())
        change(content)
        shutil.copytree(scenes.parent / "images", tmp_path / "images", dirs_exist_ok=True)
        (tmp_path / "instances.json").write_text(json.dumps(content))
        return tmp_path / "instances.json"

    return edit


def other_ids(content):
    """The categories in another order, with other ids."""
    for category in content["categories"]:
        category["id"] = 90 - category["id"]
    for item in content["annotations"]:
        item["category_id"] = 90 - item["category_id"]


def rename(**names):
    def change(content):
        for category in content["categories"]:
            category["name"] = names.get(category["name"], category["name"])

    return change


def without(name):
    """No boxes of the category, which stays."""

    def change(content):
        (category,) = [c["id"] for c in content["categories"] if c["name"] == name]
        content["annotations"] = [a for a in content["annotations"] if a["category_id"] != category]

    return change


def match(path):
    return match_classes(read_coco(path, path.parent), LABELS)


def test_classes_are_matched_by_name(edited):
    known, notes = match(edited(other_ids))
    assert known == {0: 89, 1: 88, 2: 87}
    assert notes == []


def test_figures_do_not_depend_on_ids(cells_bundle, scenes, edited):
    plain, other = (evaluate(cells_bundle, path, runtime="openvino") for path in (scenes, edited(other_ids)))
    assert plain.rows[0].figures == pytest.approx(other.rows[0].figures, nan_ok=True)
    assert plain.rows[0].figures["AP"] > 0.5
    assert list(plain.rows[0].classes) == [*LABELS]


@pytest.mark.parametrize(
    ("change", "known", "notes"),
    [
        (without("WBC"), [0, 1, 2], ["classes without boxes: WBC; they have no AP"]),
        (
            lambda content: content["categories"].append({"id": 99, "name": "cells"}),
            [0, 1, 2],
            ["categories that the bundle does not know, without boxes: cells"],
        ),
        (
            lambda content: (without("WBC")(content), content["categories"].pop(1)),
            [0, 2],
            ["classes that the data does not have: WBC"],
        ),
    ],
)
def test_classes_of_one_side_only(edited, change, known, notes):
    found, said = match(edited(change))
    assert [*found] == known
    assert [line[: len(start)] for line, start in zip(said, notes, strict=True)] == notes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (rename(RBC="rbc"), "has classes that the bundle does not know: 'rbc' ("),
        (rename(RBC="rbc"), "boxes, did you mean 'RBC'?); the bundle's are RBC, WBC, Platelets: rename them there"),
        (rename(RBC="person", WBC="car"), "'person' ("),
        (lambda content: content.update(annotations=[]), "has no boxes in its 3 pictures: AP needs some"),
    ],
)
def test_classes_that_do_not_match(edited, change, told):
    with pytest.raises(DataError) as caught:
        match(edited(change))
    assert told in str(caught.value)


def test_what_only_the_bundle_knows_is_neither_right_nor_wrong(cells_bundle, edited):
    def change(content):
        without("Platelets")(content)
        content["categories"] = [c for c in content["categories"] if c["name"] != "Platelets"]

    path = edited(change)
    found = evaluate(cells_bundle, path, runtime="openvino", save_detections=path.parent / "dets.json")
    row = found.rows[0]
    assert list(row.classes) == ["RBC", "WBC"]
    assert row.figures["AP"] == pytest.approx((row.classes["RBC"]["AP"] + row.classes["WBC"]["AP"]) / 2)
    assert {d["category_id"] for d in json.loads(row.detections_file.read_text())} <= {1, 2}


def remove(folder, *names):
    for name in names:
        (folder / "images" / name).unlink()


def test_missing_pictures(cells_bundle, edited):
    path = edited(lambda content: None)
    names = sorted(file.name for file in (path.parent / "images").iterdir())
    remove(path.parent, names[1])
    with pytest.raises(DataError, match=f"1 of 3 pictures are missing: .*{names[1]}: .*--skip-missing$"):
        evaluate(cells_bundle, path)
    found = evaluate(cells_bundle, path, skip_missing=True, runtime="openvino")
    assert (found.pictures, found.pictures_in_data, len(found.image_ids)) == (2, 3, 2)
    assert found.notes[0].startswith("left out: 1 of 3 pictures are missing")
    remove(path.parent, names[0], names[2])
    with pytest.raises(DataError, match=r"3 of 3 pictures are missing: .*: give their folder with --images$"):
        evaluate(cells_bundle, path, skip_missing=True)


def test_a_picture_of_an_impossible_name_is_missing(cells_bundle, edited):
    path = edited(lambda content: content["images"][0].update(file_name="a" * 300 + ".jpg"))
    with pytest.raises(DataError, match="1 of 3 pictures are missing: "):
        evaluate(cells_bundle, path)


def test_data_that_can_be_read_only_once(cells_bundle, scenes):
    reading, writing = os.pipe()
    with open(writing, "wb") as pipe:  # as the shell's <(...); it fits the pipe's buffer
        pipe.write(scenes.read_bytes())
    try:
        piped = evaluate(cells_bundle, f"/dev/fd/{reading}", scenes.parent / "images", runtime="openvino", limit=1)
    finally:
        os.close(reading)
    assert piped.rows[0].figures == pytest.approx(
        evaluate(cells_bundle, scenes, runtime="openvino", limit=1).rows[0].figures, nan_ok=True
    )


def test_annotations_without_id_get_none_that_is_no_match(cells_bundle, scenes, edited):
    def change(content):
        for item in content["annotations"]:
            del item["id"]
        content["annotations"][1]["id"] = -1  # counting on from there, the first would be 0

    plain, bare = (evaluate(cells_bundle, path, runtime="openvino") for path in (scenes, edited(change)))
    assert bare.rows[0].figures == pytest.approx(plain.rows[0].figures, nan_ok=True)


def linked(path: Path) -> Path:
    link = path.with_name("link.json")
    link.symlink_to(path)
    return link


@pytest.mark.parametrize(
    ("runtime", "place"),
    [
        ("openvino", lambda path: path),
        ("openvino", lambda path: path.parent / "images" / ".." / path.name),
        ("openvino", linked),
        ("all", lambda path: path.with_name("dets.json")),  # of which one becomes the data's name
    ],
    ids=["itself", "another way", "a link", "an artifact's"],
)
def test_the_data_is_not_overwritten(cells_bundle, edited, runtime, place):
    path = edited(lambda content: None)
    data = path.rename(path.with_name("dets.onnxruntime-int8.json"))
    before = data.read_bytes()
    with pytest.raises(DataError, match=r"cannot write .*: it is the data that is read, .*: choose another place"):
        evaluate(cells_bundle, data, runtime=runtime, save_detections=place(data))
    assert data.read_bytes() == before


def test_pictures_of_another_size_are_noted(cells_bundle, edited):
    path = edited(lambda content: content["images"][0].update(width=1280, height=960))
    (note,) = evaluate(cells_bundle, path, runtime="openvino").notes
    assert note.startswith("pictures of another size than the annotations say: 1 (")
    assert "1280x960" in note


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"runtime": "openvion"}, UnknownNameError, "did you mean 'openvino'"),
        ({"precision": "int4"}, UnknownNameError, "did you mean 'int8'"),
        ({"runtime": "all", "precision": "fp16x"}, UnknownNameError, "fp16x"),
        ({"runtime": "tensorrt", "precision": "all"}, BundleError, "has nothing for runtime tensorrt"),
        ({"runtime": "tensorrt"}, BundleError, "has nothing for tensorrt"),
        ({"conf": 2}, RuntimeInputError, "conf must be a number from 0 to 1"),
        ({"images": "nowhere"}, DataError, "3 of 3 pictures are missing: nowhere/"),
        ({"save_detections": "/proc/x/dets.json"}, DataError, "cannot write /proc/x/dets.json"),
        ({"save_detections": "a" * 300}, DataError, "aaa: File name too long: choose another place"),
    ],
)
def test_wrong_arguments(cells_bundle, scenes, arguments, error, told):
    with pytest.raises(error) as caught:
        evaluate(cells_bundle, scenes, **arguments)
    assert told in str(caught.value)


def test_data_of_another_kind(cells_bundle, scenes):
    with pytest.raises(DataError, match=r"no boxes in .*images: expected is a COCO file"):
        evaluate(cells_bundle, scenes.parent / "images")
    with pytest.raises(DataError, match="is a list, which has no boxes"):
        evaluate(cells_bundle, scenes.with_name("val.txt"))


@pytest.mark.parametrize(
    ("runtime", "precision", "expected"),
    [
        ("auto", "auto", [("auto", "auto")]),
        ("openvino", "int8", [("openvino", "int8")]),
        ("openvino", "all", [("openvino", "fp32"), ("openvino", "int8")]),
        ("all", "int8", [("openvino", "int8"), ("onnxruntime", "int8")]),
        ("all", "bf16", [("openvino", "bf16")]),
    ],
)
def test_who_is_evaluated(cells_bundle, runtime, precision, expected):
    assert choose_artifacts(read_bundle(cells_bundle), runtime, precision) == expected


def test_all_are_all(cells_bundle):
    bundle = read_bundle(cells_bundle)
    held = {(artifact.runtime, artifact.precision) for artifact in bundle.manifest.artifacts}
    assert len(held) == 4
    assert held <= {*choose_artifacts(bundle, "all", "auto")} == {*choose_artifacts(bundle, "all", "all")}


def test_one_that_fails_does_not_stop_the_others(cells_bundle, scenes, tmp_path):
    copy = shutil.copytree(cells_bundle, tmp_path / "copy")
    (copy / "openvino" / "fp32.bin").write_bytes(b"x")
    found = evaluate(copy, scenes, runtime="openvino", precision="all", limit=1)
    assert [row.name for row in found.rows] == ["openvino int8"]
    ((failure),) = found.failures
    assert (failure.runtime, failure.precision) == ("openvino", "fp32")
    assert "fp32.bin was edited" in failure.reason
    (copy / "openvino" / "int8.bin").write_bytes(b"x")
    with pytest.raises(
        RuntimeMissingError, match=r"runs here: openvino fp32: .*; openvino int8: .*int8\.bin was edited"
    ):
        evaluate(copy, scenes, runtime="openvino", precision="all", limit=1)
    with pytest.raises(BundleError, match="was edited"):
        evaluate(copy, scenes, runtime="openvino", precision="int8")


def test_json_has_null_for_what_is_no_number(cells_bundle, edited):
    found = evaluate(cells_bundle, edited(without("WBC")), runtime="openvino", limit=1)
    content = found.to_json()
    assert content["rows"][0]["classes"]["WBC"]["AP"] is None
    json.dumps(content, allow_nan=False)
    assert replace(found, rows=()).to_json()["rows"] == []
