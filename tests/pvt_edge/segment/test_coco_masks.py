"""COCO's polygons and run lengths, drawn as class ids."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from pvt_edge.errors import DataError
from pvt_edge.tasks import get_task

SQUARE = [[2, 2, 8, 2, 8, 8, 2, 8]]
BOX = [2, 2, 6, 6]


def write(folder, *annotations, categories=({"id": 9, "name": "b"}, {"id": 3, "name": "a"}), **image):
    (folder / "images").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "images" / "x.png"), np.zeros((10, 12, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "x.png", "height": 10, "width": 12, **image}],
        "annotations": [{"image_id": 1, "bbox": BOX, **one} for one in annotations],
        "categories": list(categories),
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


def read(file):
    return get_task("segment").read_labels(file)[0]


def lengths(mask):
    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def test_polygons_and_run_lengths_become_classes_with_the_smaller_in_front(tmp_path):
    small = np.zeros((10, 12), bool)
    small[4:6, 4:6] = True
    loose = {"size": [10, 12], "counts": [0, 3, 117]}
    file = write(
        tmp_path,
        {"category_id": 3, "segmentation": lengths(small), "area": 4},
        {"category_id": 9, "segmentation": SQUARE, "area": 36},
        {"category_id": 3, "segmentation": loose, "area": 3},
    )
    dataset = read(file)
    assert dataset.names == ("background", "a", "b")
    expected = np.zeros((10, 12), np.uint8)
    expected[2:8, 2:8] = 2
    expected[4:6, 4:6] = 1
    expected[:3, 0] = 1
    assert np.array_equal(dataset.samples[0].mask(), expected)
    assert dataset.counts() == {"background": 1, "a": 1, "b": 1}


@pytest.mark.parametrize(
    ("categories", "names", "uncovered"),
    [
        ({0: "cat", 1: "dog"}, ("background", "cat", "dog"), 0),
        ({1: "cat", 7: "background"}, ("cat", "background"), 1),
    ],
)
def test_what_no_annotation_covers_is_background_whatever_the_ids(categories, names, uncovered, tmp_path):
    rows = [{"id": number, "name": name} for number, name in categories.items()]
    cat = next(number for number, name in categories.items() if name == "cat")
    dataset = read(write(tmp_path, {"category_id": cat, "segmentation": SQUARE, "area": 36}, categories=rows))
    assert dataset.names == names
    expected = np.full((10, 12), uncovered, np.uint8)
    expected[2:8, 2:8] = names.index("cat")
    assert np.array_equal(dataset.samples[0].mask(), expected)


def test_exact_masks_beside_the_file_go_before_its_boxes(tmp_path):
    file = write(tmp_path, {"category_id": 3})
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "x.png"), np.full((10, 12), 9, np.uint8))
    dataset = read(file)
    assert dataset.names == ("background", "a", "b")
    assert dataset.samples[0].mask().max() == 2


WRONG = {
    "boxes alone": ({}, {}, "boxes alone"),
    "two points": ({"segmentation": [[1, 1, 2, 2]]}, {}, "three points"),
    "another size": ({"segmentation": {"size": [5, 5], "counts": [25]}}, {}, "its picture has"),
    "too few": ({"segmentation": {"size": [10, 12], "counts": [25]}}, {}, "25 pixels"),
    "no region": ({"segmentation": "here"}, {}, "list of polygons"),
    "no number": ({"segmentation": [[1, 1, float("nan"), 1, 9, 9]]}, {}, "not finite"),
    "no end": ({"segmentation": [[1, 1, float("inf"), 1, 9, 9]]}, {}, "not finite"),
    "beyond all memory": ({"segmentation": [[1, 1, 1e6, 1, 9, 9]]}, {}, "pixels away"),
    "a name that is none": ({"segmentation": SQUARE}, {"file_name": 5}, "file_name 5"),
    "an image that is none": ({"segmentation": SQUARE, "image_id": [1]}, {}, "unhashable"),
    "told size": ({"segmentation": SQUARE}, {"width": 13}, "13x10"),
    "no such picture": ({"segmentation": SQUARE}, {"file_name": "y.png"}, "y.png"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_cannot_be_drawn_is_refused(case, tmp_path):
    annotation, image, words = case
    with pytest.raises(DataError, match=words):
        read(write(tmp_path, {"category_id": 3, **annotation}, **image))


def test_a_size_that_is_null_is_none(tmp_path):
    file = write(tmp_path, {"category_id": 3, "segmentation": SQUARE}, width=None, height=None)
    assert read(file).samples[0].size_wh == (12, 10)
