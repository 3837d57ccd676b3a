"""The pictures of a COCO file: found by name, and turned by their EXIF."""

import json

import cv2
import numpy as np
import pytest

from pvt_edge.data.coco import read_coco
from pvt_edge.data.picture_paths import displayed_size
from pvt_edge.errors import DataError
from pvt_edge.sources import read_image

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def read(tmp_path):
    """The function (images, boxes x, y, width, height of image 0, 1, ...) -> the data set, pictures in a/."""

    def run(images, boxes=()):
        content = {
            "images": [{"id": i, **image} for i, image in enumerate(images)],
            "annotations": [{"id": i + 1, "image_id": i, "category_id": 1, "bbox": b} for i, b in enumerate(boxes)],
            "categories": [{"id": 1, "name": "cell"}],
        }
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content))
        return read_coco(path, tmp_path / "a")

    (tmp_path / "a").mkdir()
    return run


def put(folder, *names):
    for name in names:
        path = folder / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("./x.jpg", "x.jpg"),
        ("images/train/x.jpg", "x.jpg"),
        ("C:\\data\\my set\\x.jpg", "x.jpg"),
        ("/home/else/x.jpg", "sub/deep/x.jpg"),
        ("a%20b.jpg", "a b.jpg"),
        ("https://host/bucket/a%20b.jpg?key=1#top", "a b.jpg"),
        ("file:///C:/data/x.jpg", "x.jpg"),
        ("a%20b.jpg", "sub/a%20b.jpg"),
        ("cafe\u0301.jpg", "sub/caf\u00e9.jpg"),
        ("D:\\set\\train\\x.jpg", "train/x.jpg"),
    ],
)
def test_pictures_named_with_another_machines_folders(read, tmp_path, written, there):
    put(tmp_path, there, "other.jpg")
    dataset = read([{"file_name": written}, {"file_name": "other.jpg"}])
    assert dataset.samples[0].path == tmp_path / "a" / there
    assert dataset.samples[1].path == tmp_path / "a" / "other.jpg"
    taken = [note for note in dataset.notes if "taken by their name" in note]
    assert len(taken) == (written != "./x.jpg")
    assert all("1 of 2" in note and repr(written) in note for note in taken)


def test_of_two_pictures_of_a_name_the_one_in_the_named_folder_counts(read, tmp_path):
    put(tmp_path, "train/x.jpg", "val/x.jpg")
    assert read([{"file_name": "C:\\set\\val\\x.jpg"}]).samples[0].path == tmp_path / "a" / "val" / "x.jpg"


def test_no_guess_among_two(read, tmp_path):
    put(tmp_path, "train/x.jpg", "val/x.jpg")
    with pytest.raises(DataError, match=r"2 pictures of that name.*train/x\.jpg, val/x\.jpg"):
        read([{"file_name": "C:\\set\\x.jpg"}])


def test_no_picture_stands_for_two_names(read, tmp_path):
    put(tmp_path, "x.jpg")
    with pytest.raises(DataError, match=r"'train/x\.jpg' and 'val/x\.jpg' would both be"):
        read([{"file_name": "train/x.jpg"}, {"file_name": "val/x.jpg"}])
    with pytest.raises(DataError, match=r"'x\.jpg' and 'val/x\.jpg' would both be"):
        read([{"file_name": "x.jpg"}, {"file_name": "val/x.jpg"}])


def test_what_is_nowhere_keeps_its_path(read, tmp_path):
    put(tmp_path, "y.jpg")
    dataset = read([{"file_name": "train/x.jpg"}])
    assert dataset.samples[0].path == tmp_path / "a" / "train" / "x.jpg"
    assert not [note for note in dataset.notes if "taken by their name" in note]


def turned(folder, orientation, box):
    """A dark JPEG of 96x64 stored pixels, white in `box` (x, y, width, height), with that EXIF orientation."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x, y, w, h = box
    pixels[y : y + h, x : x + w] = 255
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])
    data = packed.tobytes()
    entry = (0x0112).to_bytes(2, "big") + b"\0\3\0\0\0\1" + orientation.to_bytes(2, "big") + b"\0\0"
    tiff = b"Exif\0\0MM\0*\0\0\0\10\0\1" + entry + b"\0\0\0\0"
    path = folder / "a" / f"{orientation}.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(tiff) + 2).to_bytes(2, "big") + tiff + data[2:])
    return {"file_name": path.name, "width": WIDTH, "height": HEIGHT}


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_that_fit_only_the_stored_picture_are_turned(read, tmp_path, orientation):
    box = [80, 8, 10, 24]  # beyond the displayed width
    dataset = read([turned(tmp_path, orientation, box)], [box])
    (sample,) = dataset.samples
    image = read_image(sample.path)
    assert image.shape[:2] == (WIDTH, HEIGHT)
    assert sample.size_wh == (HEIGHT, WIDTH)
    rows, columns = np.nonzero(image[..., 0] > 128)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(sample.boxes_xyxy[0], seen, atol=1)
    np.testing.assert_allclose(dataset.content["annotations"][0]["bbox"], [*seen[:2], 24, 10], atol=1)  # width, height
    assert "EXIF" in dataset.notes[0]
    assert "turned with them" in dataset.notes[0]


@pytest.mark.parametrize(
    ("box", "told"), [([8, 80, 24, 10], "fit the displayed"), ([8, 8, 24, 10], "fit both ways")]
)  # fmt: skip
def test_boxes_of_the_displayed_picture_stay(read, tmp_path, box, told):
    dataset = read([turned(tmp_path, 6, [0, 0, 9, 9])], [box])
    (sample,) = dataset.samples
    assert sample.size_wh == (HEIGHT, WIDTH)
    assert sample.boxes_xyxy[0].tolist() == [box[0], box[1], box[0] + box[2], box[1] + box[3]]
    assert "EXIF" in dataset.notes[0]
    assert told in dataset.notes[0]


def test_boxes_of_both_kinds_are_refused(read, tmp_path):
    images = [turned(tmp_path, 6, [0, 0, 9, 9]), turned(tmp_path, 8, [0, 0, 9, 9])]
    with pytest.raises(DataError, match=r"EXIF.*1 fit only the picture as displayed .*1\) and 1 only as stored"):
        read(images, [[8, 80, 24, 10], [80, 8, 10, 24]])


@pytest.mark.parametrize("change", [{"width": HEIGHT, "height": WIDTH}, {"width": None}], ids=str)
def test_sizes_as_displayed_or_none_leave_all_as_it_is(read, tmp_path, change):
    dataset = read([turned(tmp_path, 6, [0, 0, 9, 9]) | change], [[8, 80, 24, 10]])
    assert dataset.samples[0].boxes_xyxy[0].tolist() == [8, 80, 32, 90]
    assert dataset.notes == ()


def test_a_picture_that_is_not_turned_has_its_boxes_outside(read, tmp_path):
    with pytest.raises(DataError, match="outside its picture of 96x64 pixels"):
        read([turned(tmp_path, 3, [0, 0, 9, 9])], [[8, 80, 24, 10]])


def test_an_orientation_that_is_no_number_turns_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / turned(tmp_path, 6, [0, 0, 8, 8])["file_name"]
    assert displayed_size(path) == (HEIGHT, WIDTH)
    path.write_bytes(path.read_bytes().replace(b"\1\x12\0\3\0\0\0\1", b"\1\x12\0\7\0\0\0\1"))  # bytes, not a number
    assert displayed_size(path) == (WIDTH, HEIGHT)
