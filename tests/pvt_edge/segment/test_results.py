"""What a result with a mask says, draws and saves."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from pvt_edge.data.coco_masks import draw_region
from pvt_edge.drawing.boxes import colour_of
from pvt_edge.errors import DataError, RuntimeInputError
from pvt_edge.results import Result
from pvt_edge.sinks import CsvRows, MaskFolder, open_sinks

NAMES = ("background", "RBC", "WBC")
MASK = np.array([[0, 0, 1, 1], [0, 2, 1, 255]], np.uint8)


def result(mask=MASK, names=NAMES, grey=100, **fields):
    return Result(np.full((*mask.shape[:2], 3), grey, np.uint8), names, mask=mask, **fields)


def square(hw=(60, 80)):
    mask = np.zeros(hw, np.uint8)
    mask[10:30, 20:50] = 1
    return mask


def test_areas_are_shares_of_the_whole_picture():
    found = result()
    assert found.pixels == {0: 3, 1: 3, 2: 1}
    assert found.areas() == {"background": 3 / 8, "RBC": 3 / 8, "WBC": 1 / 8}
    assert len(found) == 3
    assert found.found_names() == ["background", "RBC", "WBC"]
    assert "RBC 37.5%" in repr(found)


def test_a_mask_of_nothing():
    found = result(np.full((2, 3), 255, np.uint8))
    assert (found.pixels, found.summary(), len(found)) == ({}, [], 0)
    assert np.array_equal(found.plot(), found.image)
    assert json.loads(found.to_json())["predictions"] == []


def test_rows():
    assert result().summary()[0] == {"name": "background", "class": 0, "area": 0.375, "pixels": 3}
    (_, row) = result(square()).summary(polygons=True)
    assert row["segmentation"] == [[20, 10, 20, 29, 49, 29, 49, 10]]


def test_json_has_run_lengths_as_pycocotools_writes_them():
    mask = np.random.default_rng(0).integers(0, 3, (31, 47)).astype(np.uint8)
    rows = json.loads(result(mask).to_json())["predictions"]
    assert sorted(row["class"] for row in rows) == [0, 1, 2]
    for row in rows:
        region = np.asfortranarray((mask == row["class"]).astype(np.uint8))
        assert row["segmentation"] == {"size": [31, 47], "counts": coco.encode(region)["counts"].decode()}
        assert row["pixels"] == region.sum()
    polygons = json.loads(result(square()).to_json(polygons=True))["predictions"][1]["segmentation"]
    assert draw_region(polygons, 60, 80)[11:29, 21:49].all()


WRONG = {
    "another size": (np.zeros((2, 3), np.uint8), "the image"),
    "floats": (np.zeros((2, 4), np.float32), "whole numbers"),
    "a list": ([[0, 0, 0, 0], [0, 0, 0, 0]], "whole numbers"),
    "an id without a name": (np.full((2, 4), 3, np.uint8), r"without a name: \[3\]"),
    "255 in a wider type": (np.full((2, 4), 255, np.int32), r"without a name: \[255\]"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_no_mask_of_the_picture_is_refused(case):
    mask, words = case
    with pytest.raises(DataError, match=words):
        Result(np.zeros((2, 4, 3), np.uint8), NAMES, mask=mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_the_overlay_has_the_colours_of_boxes_and_leaves_background_clear(dtype):
    mask = np.zeros((300, 400), dtype)
    mask[200:] = 1
    mask[280:] = 255 if dtype is np.uint8 else -1
    image = result(mask, grey=100).plot(opacity=0.25)
    assert (image[210:270] == np.rint(100 * 0.75 + np.array(colour_of(1)) * 0.25)).all()
    assert (image[280:] == 100).all()
    assert (image[150:200] == 100).all()
    legend = image[:140, :200] != 100
    assert legend.any()
    assert (image[:60, :60] == colour_of(1)).all(axis=-1).any()
    assert (result(mask).plot()[210:270] == np.rint(50 + np.array(colour_of(1)) * 0.5)).all()


@pytest.mark.parametrize("opacity", [-0.1, 1.5, "half"])
def test_opacity_is_a_share(opacity):
    with pytest.raises(RuntimeInputError, match="from 0 to 1"):
        result().plot(opacity=opacity)


@pytest.mark.parametrize("hw", [(1, 1), (20, 30), (2000, 40)])
def test_a_legend_of_many_classes_stays_inside(hw):
    names = tuple(f"a rather long name {i}" for i in range(40))
    mask = (np.arange(hw[0] * hw[1]).reshape(hw) % 40).astype(np.uint8)
    assert result(mask, names).plot().shape == (*hw, 3)


def test_masks_are_saved_as_indices_with_a_palette(tmp_path):
    path = result().save_mask(tmp_path / "x.png")
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.array(image), MASK)
        assert tuple(image.getpalette()[3:6]) == colour_of(1)[::-1]
    assert np.array_equal(cv2.imread(str(path))[0, 2], colour_of(1))
    with pytest.raises(DataError, match=r"end it in \.png"):
        result().save_mask(tmp_path / "x.jpg")


def test_masks_of_many_classes_are_saved_in_16_bits(tmp_path):
    names = tuple(map(str, range(300)))
    path = result(np.array([[299, -1]], np.int32), names).save_mask(tmp_path / "x.png")
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tolist() == [[299, 65535]]


def test_a_folder_of_masks_keeps_what_is_not_its_own(tmp_path):
    with MaskFolder(tmp_path / "out") as sink:
        sink.write(result(path="a/x.jpg"))
        sink.write(result(path="b/x.jpg"))
        sink.write(result())
    names = ["frame_000000.png", "x.png", "x_1.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    with open_sinks(masks=tmp_path / "out") as sinks:
        sinks.write(result(path="x.jpg"))  # its own may be written over
    cv2.imwrite(str(tmp_path / "out" / "y.png"), MASK)
    with MaskFolder(tmp_path / "out") as sink, pytest.raises(DataError, match="not written by pvt-edge"):
        sink.write(result(path="y.jpg"))


def test_a_row_a_class(tmp_path):
    with CsvRows(tmp_path / "out.csv") as sink:
        sink.write(result(path="x.jpg"))
    lines = Path(tmp_path / "out.csv").read_text().splitlines()
    assert lines[1] == ",x.jpg,0,0.000,background,0,,,,,,,,,0.375,3"
    assert len(lines) == 4


def test_a_table():
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = result().to_df()
    assert list(table.columns) == ["name", "class", "area", "pixels"]
    assert table["pixels"].tolist() == [3, 3, 1]


def test_detections_of_supervision():
    pytest.importorskip("supervision", reason="supervision is not installed")
    found = result(square()).to_supervision()
    assert found.class_id.tolist() == [0, 1]
    assert found.data["class_name"].tolist() == ["background", "RBC"]
    assert np.array_equal(found.mask[1], square() == 1)
    assert found.xyxy[1].tolist() == [20, 10, 50, 30]
    assert len(result(np.full((2, 3), 255, np.uint8)).to_supervision()) == 0
