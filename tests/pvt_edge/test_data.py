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
    assert dataset.source == tmp_path / "instances.json"
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


NAN = float("nan")
EXPECTED = "expected is an object with the lists images, annotations, categories"


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ([box(image=99)], "annotation number 0, which has no id, is of image 99, which the file does not list"),
        ([box(id=7, category=99)], "annotation 7 is of category 99, which the file does not list"),
        ([{"id": 7, "image_id": 10, "category_id": 3}], "annotation 7 has no bbox"),
        ([box(id=7, bbox=(1, 2, 3))], "annotation 7 has the bbox [1, 2, 3]: a bbox is four numbers"),
        ([box(id=7, bbox="abcd")], "annotation 7 has the bbox ['a', 'b', 'c', 'd']: a bbox is four numbers"),
        ([box(id=7, bbox=(1, 2, NAN, 4))], "annotation 7 has the bbox [1, 2, nan, 4], which is not finite"),
        ([box(id=7, bbox=(1, 2, float("inf"), 4))], "which is not finite"),
        ([box(id=7, bbox=(10, 2, -4, 4))], "annotation 7 has the bbox [10, 2, -4, 4] of negative size: the order is x"),
        ([box(id=7, bbox=(1, 2, 10**400, 4))], "00..., which is not finite in float32"),
        (
            [box(id=7, bbox=(1, 2, 1e300, 4))],
            "annotation 7 has the bbox [1, 2, 1e+300, 4], which is not finite in float32",
        ),
        ([box(id=7, bbox=(3e38, 2, 3e38, 4))], "whose far corner is not finite in float32"),
        ([box(id=1), box(id="a2", bbox=(1, 2, 3))], "annotation 'a2' has the bbox [1, 2, 3]"),
        ([box(id=10**400, bbox=(1, 2, 3))], "00... has the bbox [1, 2, 3]"),
        (
            [box(id=7, area=None)],
            "annotation 7 has the area None: an area is a finite number of square pixels, 0 or more",
        ),
        ([box(id=7, area="200")], "annotation 7 has the area '200'"),
        ([box(id=7, area=NAN)], "annotation 7 has the area nan"),
        ([box(area=-5)], "annotation number 0, which has no id, has the area -5"),
        ([box(id=7, iscrowd=None)], "annotation 7 has the iscrowd None: it is 0 or 1"),
        ([box(id=7, iscrowd="0")], "annotation 7 has the iscrowd '0': it is 0 or 1"),
        (
            [box(id=i, bbox=(1, 2, 3)) for i in range(1, 6)] + [box(id=9)],
            "annotation 3 has the bbox [1, 2, 3]: a bbox is four numbers, x, y, width and height and 2 more (of 6 "
            "annotations)",
        ),
        ([box(), 5], f"not all of its annotations are objects; {EXPECTED}"),
        (None, f"it has no list annotations; {EXPECTED}"),
        ([box(image=[1])], "TypeError: unhashable type: 'list'"),
    ],
)
def test_annotations_that_make_no_sense(read, tmp_path, annotations, told):
    with pytest.raises(DataError) as caught:
        read(annotations)
    assert str(caught.value).startswith(f"cannot read {tmp_path / 'instances.json'} as COCO annotations: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("bbox", "outside"),
    [((90, 50, 9, 9), False), ((-5, -5, 10, 10), False), ((100, 50, 9, 9), True), ((5, 80, 9, 9), True),
     ((-20, 5, 10, 10), True)],
)  # fmt: skip
def test_boxes_outside_their_picture(read, bbox, outside):
    images = [{"id": 10, "file_name": "a.jpg", "width": 100, "height": 80}]
    if not outside:
        assert read([box(bbox=bbox)], images).samples[0].size_wh == (100, 80)
        return
    with pytest.raises(DataError, match="outside its picture of 100x80 pixels"):
        read([box(bbox=bbox)], images)


def sized(**size) -> list[dict]:
    return [{"id": 10, "file_name": "a.jpg", "width": 100, "height": 80} | size]


def with_ids(*ids) -> list[dict]:
    return [{"id": one, "file_name": f"{i}.jpg"} for i, one in enumerate(ids)]


@pytest.mark.parametrize(
    ("images", "categories", "told"),
    [
        ([*IMAGES, {"id": 10, "file_name": "c.jpg"}], CATEGORIES, "2 images have the id 10"),
        ([{"id": 10}], CATEGORIES, "an image has no file_name"),
        ([{"id": 10, "file_name": 5}], CATEGORIES, "image 10 has the file_name 5: it is a text"),
        (IMAGES, [{"id": 3, "name": ["cat"]}], "TypeError: unhashable type: 'list'"),
        (IMAGES, [*CATEGORIES, {"id": 3, "name": "emu"}], "2 categories have the id 3"),
        (IMAGES, [*CATEGORIES, {"id": 4, "name": "cat"}], "2 categories have the name 'cat'"),
        (IMAGES, [{"id": 3, "name": ""}], "a category has no name"),
        (sized(width="640"), CATEGORIES, "image 10 has the width '640': expected is a number of pixels, or none"),
        (sized(height=NAN), CATEGORIES, "image 10 has the height nan: expected is a number of pixels"),
        (with_ids(1, "b"), CATEGORIES, "an image has the id 'b': ids are all integers within int64, or all strings"),
        (with_ids(-1, 2**63 + 7), CATEGORIES, f"an image has the id {2**63 + 7}: ids are all integers within int64"),
        (with_ids(1.5), CATEGORIES, "an image has the id 1.5"),
        (with_ids([1]), CATEGORIES, "an image has the id [1]"),
        (IMAGES, [{"id": 3, "name": "cat"}, {"id": "d", "name": "dog"}], "a category has the id 'd': ids are all"),
    ],
)
def test_images_and_categories_that_make_no_sense(read, images, categories, told):
    with pytest.raises(DataError) as caught:
        read([], images, categories)
    assert told in str(caught.value)


@pytest.mark.parametrize("size", [{"width": None}, {"height": None}, {"width": None, "height": None}], ids=str)
def test_a_size_that_is_null_is_none(read, size):
    (sample,) = read([box(bbox=(500, 500, 9, 9))], sized(**size)).samples
    assert sample.size_wh is None


@pytest.mark.parametrize("ids", [(-1, 2**63 - 1), ("a", "b")], ids=str)
def test_ids_of_one_kind(read, ids):
    dataset = read([box(image=ids[1], area=0, iscrowd=False)], with_ids(*ids))
    assert [(sample.image_id, len(sample.labels)) for sample in dataset.samples] == [(ids[0], 0), (ids[1], 1)]


def test_notes(read):
    images = [{"id": 10, "file_name": "a.jpg", "width": 100, "height": 80}, {"id": 5, "file_name": "b.jpg"}]
    assert read([box(id=1), box(id=2, image=5)], images).notes == ()
    odd = [box(id=0), box(id=0, bbox=(1, 2, 0, 5)), box(id=2, bbox=(95, 2, 10, 5)), box(id=3, iscrowd=1)]
    said = read(odd, images).notes
    wanted = ["boxes without area: 1;", "boxes that reach out of their picture: 1;", "crowd boxes: 1;",
              "pictures without boxes: 1;", "annotations that share an id: 2;",
              "an annotation has the id 0; it counts"]  # fmt: skip
    assert [line[: len(start)] for line, start in zip(said, wanted, strict=True)] == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("  \n", "the file is empty"),
        ('{"images": [', "it is not JSON: Expecting value"),
        ("[]", f"it holds a list, as files of detections are; {EXPECTED}"),
        ("5", f"it holds a int; {EXPECTED}"),
        ("[" * 100_000, "it is nested too deeply"),
        ("{}", f"it has no list images and no list annotations and no list categories; {EXPECTED}"),
        ('{"categories": [], "annotations": []}', "it has no list images"),
        ('{"categories": [{"name": "cat"}], "images": [], "annotations": []}', "a category has no id"),
    ],
    ids=lambda value: value[:20],
)
def test_files_that_are_no_coco(tmp_path, text, told):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_coco(path, tmp_path)
    assert str(caught.value).startswith(f"cannot read {path} as COCO annotations: {told}")


def test_a_binary_file_and_none(tmp_path):
    path = tmp_path / "binary.json"
    path.write_bytes(b"\xff\xd8\xff\x00")
    with pytest.raises(DataError, match="it is not text: invalid start byte at byte 0"):
        read_coco(path, tmp_path)
    with pytest.raises(DataError, match="No such file or directory: check the path"):
        read_coco(tmp_path / "absent.json", tmp_path)


def test_a_byte_order_mark_is_no_content(tmp_path):
    path = tmp_path / "marked.json"
    path.write_text(json.dumps({"images": IMAGES, "annotations": [], "categories": CATEGORIES}), "utf-8-sig")
    assert read_coco(path, tmp_path).names == ("cat", "dog")


def test_scenes_come_back_as_they_were_drawn(tmp_path):
    dataset = read_coco(write_scenes(tmp_path, 2, seed=3, height=96, width=128), tmp_path / "images")
    assert dataset.names == ("RBC", "WBC", "Platelets")
    for i, sample in enumerate(dataset.samples):
        scene = draw_scene(3_000_000 + i, 96, 128)
        assert sample.path.is_file()
        assert len(sample.labels) > 0
        np.testing.assert_allclose(sample.boxes_xyxy, scene.boxes_xyxy, atol=1e-3)
        assert sample.labels.tolist() == scene.labels.tolist()
