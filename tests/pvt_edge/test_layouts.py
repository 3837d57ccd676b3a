"""Labelled data as people have it: every format gives the same boxes and classes, and says what is wrong with it."""

import json
import shutil

import cv2
import numpy as np
import pytest

from pvt_edge.data.classed_pictures import read_image_list
from pvt_edge.data.layouts import read_boxes, read_classes
from pvt_edge.errors import DataError

pytest.importorskip("yaml", reason="PyYAML is not installed")
WH = (80, 40)
NAMES = ("cat", "dog")
BOXES = {"a": [(0, (8, 4, 24, 20)), (1, (40, 10, 80, 40))], "b": [(1, (0, 0, 16, 8))], "c": []}  # label, xyxy


def picture(path, value=128, wh=WH):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((wh[1], wh[0], 3), value, np.uint8))
    return path


def yolo(folder, parts=("train", "val"), names="[cat, dog]"):
    for part in parts:
        for stem, boxes in BOXES.items():
            picture(folder / "images" / part / f"{stem}.png")
            if boxes:
                lines = [
                    f"{label} {(x1 + x2) / 2 / WH[0]} {(y1 + y2) / 2 / WH[1]} {(x2 - x1) / WH[0]} {(y2 - y1) / WH[1]}"
                    for label, (x1, y1, x2, y2) in boxes
                ]
                file = folder / "labels" / part / f"{stem}.txt"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(lines) + "\n")
    lines = [f"{part}: images/{part}" for part in parts]
    (folder / "data.yaml").write_text("\n".join([f"path: {folder}", *lines, f"names: {names}"]))
    return folder / "data.yaml"


def coco(folder, stems=("train", "val"), place="instances_{}.json"):
    content = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]}
    for i, (stem, boxes) in enumerate(BOXES.items()):
        picture(folder / "images" / f"{stem}.png")
        content["images"].append({"id": i, "file_name": f"{stem}.png", "width": WH[0], "height": WH[1]})
        for label, (x1, y1, x2, y2) in boxes:
            row = {"id": len(content["annotations"]), "image_id": i, "category_id": (3, 7)[label]}
            content["annotations"].append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    for stem in stems:
        file = folder / place.format(stem)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return folder


def voc(folder, lists=True, difficult=0):
    for stem, boxes in BOXES.items():
        picture(folder / "JPEGImages" / f"{stem}.png")
        things = "".join(
            f"<object><name>{NAMES[label]}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1 + 1}</xmin>"
            f"<ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for label, (x1, y1, x2, y2) in boxes
        )
        size = f"<size><width>{WH[0]}</width><height>{WH[1]}</height><depth>3</depth></size>"
        file = folder / "Annotations" / f"{stem}.xml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"<annotation><filename>{stem}.png</filename>{size}{things}</annotation>")
    if lists:
        place = folder / "ImageSets" / "Main"
        place.mkdir(parents=True)
        (place / "train.txt").write_text("a\nb\n")
        (place / "val.txt").write_text("c 1\n")
    return folder


def boxes_of(dataset):
    return {
        sample.path.stem: [
            (label, tuple(np.round(box, 3).tolist()))
            for label, box in zip(sample.labels.tolist(), sample.boxes_xyxy, strict=True)
        ]
        for sample in dataset.samples
    }


def whole(*stems):
    return {stem: [(label, tuple(map(float, box))) for label, box in BOXES[stem]] for stem in stems or BOXES}


@pytest.mark.parametrize(
    "make",
    [
        yolo,
        lambda folder: yolo(folder).parent,
        coco,
        lambda folder: coco(folder, place="annotations/instances_{}2017.json"),
        lambda folder: yolo(folder, names="{0: cat, 1: dog}"),
    ],
    ids=["data.yaml", "its folder", "COCO", "COCO 2017", "a map of names"],
)
@pytest.mark.parametrize("part", ["train", "val"])
def test_boxes_are_the_same_in_every_format(tmp_path, make, part):
    found, own = read_boxes(make(tmp_path), part=part)
    assert (found.names, own, boxes_of(found)) == (NAMES, True, whole())
    assert all(sample.path.is_file() and sample.size_wh == WH for sample in found.samples)
    assert found.counts() == {"cat": 1, "dog": 2}


def test_pascal_voc_counts_from_one(tmp_path):
    train, own = read_boxes(voc(tmp_path), part="train")
    assert (train.names, own, boxes_of(train)) == (NAMES, True, whole("a", "b"))
    assert boxes_of(read_boxes(tmp_path, part="val")[0]) == whole("c")


def test_difficult_objects_are_left_out(tmp_path):
    found, own = read_boxes(voc(tmp_path, lists=False, difficult=1))
    assert (own, boxes_of(found)) == (False, {stem: [] for stem in BOXES})
    assert [row["iscrowd"] for row in found.content["annotations"]] == [1, 1, 1]


def test_data_without_parts_is_read_whole(tmp_path):
    data = coco(tmp_path / "one", stems=("all",), place="{}.json")
    assert read_boxes(data / "all.json", part="train")[1] is False
    assert boxes_of(read_boxes(data, part="val")[0]) == whole()
    beside = yolo(tmp_path / "tool", parts=("",)).parent
    (beside / "data.yaml").unlink()
    (beside / "classes.txt").write_text("cat\ndog\n")
    found, own = read_boxes(beside, part="train")
    assert (own, boxes_of(found)) == (False, whole())


def test_polygons_become_the_boxes_around_them(tmp_path):
    data = yolo(tmp_path)
    (tmp_path / "labels/val/b.txt").write_text("1 0.1 0.5 0.3 0.1 0.2 0.9\n")
    found = boxes_of(read_boxes(data)[0])
    assert found["b"] == [(1, (8.0, 4.0, 24.0, 36.0))]


def test_labels_of_turned_pictures_are_in_shares_of_the_displayed(tmp_path):
    from PIL import Image

    data = yolo(tmp_path)
    (tmp_path / "images/val/b.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", WH).save(tmp_path / "images/val/b.jpg", exif=exif)
    (sample,) = (sample for sample in read_boxes(data)[0].samples if sample.path.stem == "b")
    assert sample.size_wh == WH[::-1]
    assert sample.boxes_xyxy.tolist() == [[0, 0, pytest.approx(8), pytest.approx(16)]]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2 0.5 0.5 0.1 0.1", r"b\.txt, line 2: class 2 is none of 0, 1"),
        ("0 0.5 0.5 0.1", "neither class cx cy w h"),
        ("0 0.5 0.5 0.1 0.1 0.9", "neither class cx cy w h"),
        ("0 40 10 16 8", "is not in shares 0..1"),
        ("cat 0.5 0.5 0.1 0.1", "could not convert"),
        ("0 nan 0.5 0.1 0.1", "is not in shares 0..1"),
    ],
)
def test_lines_that_are_no_labels(tmp_path, line, told):
    data = yolo(tmp_path)
    (tmp_path / "labels/val/b.txt").write_text(f"1 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError, match=told):
        read_boxes(data)


def test_pictures_that_cannot_be_read_are_named(tmp_path):
    data = yolo(tmp_path)
    (tmp_path / "images/val/b.png").write_bytes(b"no picture")
    found, _ = read_boxes(data)
    assert boxes_of(found).keys() == {"a", "c"}
    assert len(found.left_out) == 1 and "b.png" in found.left_out[0]


def test_data_that_is_none(tmp_path):
    data = yolo(tmp_path)
    shutil.rmtree(tmp_path / "labels")
    with pytest.raises(DataError, match=r"none of its 3 pictures has labels.*labels.val.a\.txt"):
        read_boxes(data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no boxes in"):
        read_boxes(tmp_path / "empty")
    (tmp_path / "data.yaml").write_text("train: nowhere\nval: nowhere\n")
    with pytest.raises(DataError, match="nowhere is not there"):
        read_boxes(tmp_path / "data.yaml")
    broken = voc(tmp_path / "voc")
    (broken / "Annotations" / "a.xml").write_text("<annotation>")
    with pytest.raises(DataError, match=r"a\.xml: no element found"):
        read_boxes(broken, part="train")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("names: [2001-13-45]", "cannot read .*month must be in"),
        ("[" * 5000, "cannot read .*recursion"),
        ("names: [cat]\nval: images/val/a.png", r"a\.png as a list of pictures, a path a line"),
    ],
    ids=["no date", "too deep", "a picture for a list"],
)
def test_a_data_yaml_that_makes_no_sense(tmp_path, content, told):
    data = yolo(tmp_path)
    data.write_text(content)
    with pytest.raises(DataError, match=told):
        read_boxes(data)


def test_a_file_of_classes_that_is_no_text(tmp_path):
    yolo(tmp_path).unlink()
    (tmp_path / "classes.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match=r"cannot read the classes of .*classes\.txt"):
        read_boxes(tmp_path)


@pytest.mark.parametrize("encoding", ["GB2312", "no-such"])
def test_encodings_that_cannot_be_read(tmp_path, encoding):
    file = voc(tmp_path) / "Annotations" / "a.xml"
    file.write_text(f"<?xml version='1.0' encoding='{encoding}'?>{file.read_text()}")
    with pytest.raises(DataError, match=r"a\.xml: .*encoding"):
        read_boxes(tmp_path, part="train")


@pytest.mark.parametrize("width", ["nan", "inf"])
def test_a_size_that_is_no_number_is_none(tmp_path, width):
    file = voc(tmp_path) / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace(f"<width>{WH[0]}", f"<width>{width}"))
    assert read_boxes(tmp_path, part="train")[0].samples[0].size_wh is None


# --- classes


@pytest.mark.parametrize(("part", "count"), [("train", 3), ("val", 2)])
def test_class_folders_with_parts(tmp_path, part, count):
    for place in ("train/cat/1", "train/cat/2", "train/dog/1", "valid/cat/3", "valid/dog/3"):
        picture(tmp_path / f"{place}.png")
    found, own = read_classes(tmp_path, part=part)
    assert (found.names, own, len(found.samples)) == (NAMES, True, count)
    swapped = read_classes(tmp_path, part=part, labels=("dog", "cat"))[0]
    assert [label for _, label in swapped.samples] == [1 - label for _, label in found.samples]


def test_data_with_one_part_is_split_as_data_without(tmp_path):
    for place in ("train/cat/1", "train/dog/1"):
        picture(tmp_path / "folders" / f"{place}.png")
    known = None
    for part in ("train", "val"):
        found, own = read_classes(tmp_path / "folders", part=part, labels=known)
        assert (found.names, own, len(found.samples)) == (NAMES, part == "train", 2)
        known = found.names
    for place in ("instances_{}.json", "annotations/instances_{}.json"):
        boxes, own = read_boxes(coco(tmp_path / place[:5], stems=("train",), place=place), part="val")
        assert (boxes_of(boxes), own) == (whole(), False)


def test_class_folders_without_parts(tmp_path):
    for place in ("cat/1", "dog/1", "dog/2"):
        picture(tmp_path / f"{place}.png")
    found, own = read_classes(tmp_path, part="train")
    assert (found.names, own, found.counts()) == (NAMES, False, {"cat": 1, "dog": 2})


@pytest.mark.parametrize(
    "text",
    [
        "file,class\na.png,cat\nb.png,dog\n",
        "id,label,split,filename\n7,cat,val,a.png\n8,dog,val,b.png\n9,dog,train,c.png\n",
        "a.png,cat\nb.png,dog\n",
        '\ufefffile,class\n"a.png",cat\n\nb.png, dog\n',
    ],
    ids=["head", "more columns and parts", "no head", "mark and blanks"],
)
def test_tables(tmp_path, text):
    for stem in BOXES:
        picture(tmp_path / f"{stem}.png")
    file = tmp_path / "data.csv"
    file.write_text(text)
    for labels in (None, NAMES):
        found = read_classes(file, tmp_path, "val", labels)[0]
        assert [(path.name, label) for path, label in found.samples] == [("a.png", 0), ("b.png", 1)]
        assert found.names == NAMES


def test_a_list_without_known_classes(tmp_path):
    (tmp_path / "list.txt").write_text("# pictures\nmy cats/1.png cat\nb.png\tbig dog\n")
    found = read_image_list(tmp_path / "list.txt", tmp_path)
    assert found.names == ("big dog", "cat")
    assert [(str(path.relative_to(tmp_path)), label) for path, label in found.samples] == [
        ("my cats/1.png", 1),
        ("b.png", 0),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,size\na.png,3\n", None),
        ("file,class\na.png\n", r"line 2: .* is not a file and a class"),
        ("a,b,c\n1,2,3\n", "has the columns a, b, c"),
        ("", "lists no pictures"),
        ("file,class\n", "lists no pictures"),
        ('file,class\n"a.png,cat\n' + "b.png,dog\n" * 20_000, "is there a quote that does not end"),
    ],
)
def test_tables_that_are_none(tmp_path, text, told):
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        read_classes(tmp_path / "data.csv", tmp_path)


def test_unknown_classes_in_a_table_are_counted(tmp_path):
    (tmp_path / "data.csv").write_text("file,class\n" + "".join(f"{i}.png,emu\n" for i in range(5)))
    with pytest.raises(DataError, match=r"line 2: .*'emu'.*line 4.* and 2 more"):
        read_classes(tmp_path / "data.csv", tmp_path, labels=NAMES)
