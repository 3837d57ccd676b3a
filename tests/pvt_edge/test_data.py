"""COCO annotation files: what is read, and what is refused."""

import json

import numpy as np
import pytest

from pvt_edge.data.coco import read_coco
from pvt_edge.errors import DataError
from pvt_edge.scenes import draw_scene, write_scenes

IMAGES = [{"id": 10, "file_name": "a.jpg"}, {"id": 5, "file_name": "sub/b.jpg"}]
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]  # labels follow the ids, not the file's order


def box(image: int = 10, category: int = 3, bbox=(1, 2, 10, 20), **more) -> dict:
    return {"image_id": image, "category_id": category, "bbox": list(bbox), **more}


@pytest.fixture
def read(tmp_path):
    """The function (annotations, images, categories) -> the data set of such a file."""

    def run(annotations, images=IMAGES, categories=CATEGORIES):
        path = tmp_path / "instances.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
        return read_coco(path, tmp_path / "pictures")

    return run


def test_no_annotations(read, tmp_path):
    dataset = read([])
    assert dataset.annotations == tmp_path / "instances.json"
    assert (dataset.names, dataset.category_ids) == (("cat", "dog"), (3, 7))
    assert [(s.path, s.image_id) for s in dataset.samples] == [
        (tmp_path / "pictures" / "a.jpg", 10),
        (tmp_path / "pictures" / "sub" / "b.jpg", 5),
    ]
    for sample in dataset.samples:
        assert (sample.boxes_xyxy.shape, sample.boxes_xyxy.dtype) == ((0, 4), np.float32)
        assert (sample.labels.shape, sample.labels.dtype) == ((0,), np.int64)


def test_nothing_at_all(read):
    dataset = read([], images=[], categories=[])
    assert (dataset.names, dataset.category_ids, dataset.samples) == ((), (), ())


def test_boxes_and_labels(read):
    dataset = read([box(), box(image=5, category=7, bbox=(0.5, 0, 3, 4)), box(category=7, bbox=(4, 4, 1, 1))])
    first, second = dataset.samples
    assert first.boxes_xyxy.tolist() == [[1, 2, 11, 22], [4, 4, 5, 5]]
    assert first.labels.tolist() == [0, 1]
    assert second.boxes_xyxy.tolist() == [[0.5, 0, 3.5, 4]]
    assert second.labels.tolist() == [1]
    assert second.boxes_xyxy.dtype == np.float32
    assert second.labels.dtype == np.int64


def test_crowds_are_left_out(read):
    first, _ = read([box(iscrowd=1), box(category=7, iscrowd=0), box(image=5, iscrowd=1)]).samples
    assert first.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ([box(image=99)], "KeyError: 99"),
        ([box(category=99)], "KeyError: 99"),
        ([{"image_id": 10, "category_id": 3}], "KeyError: 'bbox'"),
        ([box(bbox=(1, 2, 3))], "ValueError"),
        ([box(bbox="abcd")], "ValueError"),
        ([box(), 5], "AttributeError"),
        (None, "TypeError"),
    ],
)
def test_annotations_that_make_no_sense(read, tmp_path, annotations, told):
    with pytest.raises(DataError) as caught:
        read(annotations)
    assert str(caught.value).startswith(f"cannot read {tmp_path / 'instances.json'} as COCO annotations: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "JSONDecodeError"),
        ('{"images": [', "JSONDecodeError"),
        ("[]", "TypeError"),
        ("5", "TypeError"),
        ("{}", "KeyError: 'categories'"),
        ('{"categories": [], "annotations": []}', "KeyError: 'images'"),
        ('{"categories": [{"name": "cat"}], "images": [], "annotations": []}', "KeyError: 'id'"),
    ],
)
def test_files_that_are_no_coco(tmp_path, text, told):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_coco(path, tmp_path)


def test_a_binary_file_and_none(tmp_path):
    path = tmp_path / "binary.json"
    path.write_bytes(b"\xff\xd8\xff\x00")
    with pytest.raises(DataError, match="UnicodeDecodeError"):
        read_coco(path, tmp_path)
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_coco(tmp_path / "absent.json", tmp_path)


def test_scenes_come_back_as_they_were_drawn(tmp_path):
    dataset = read_coco(write_scenes(tmp_path, 2, seed=3, height=96, width=128), tmp_path / "images")
    assert dataset.names == ("RBC", "WBC", "Platelets")
    for i, sample in enumerate(dataset.samples):
        scene = draw_scene(3_000_000 + i, 96, 128)
        assert sample.path.is_file()
        assert len(sample.labels) > 0
        np.testing.assert_allclose(sample.boxes_xyxy, scene.boxes_xyxy, atol=1e-3)
        assert sample.labels.tolist() == scene.labels.tolist()
