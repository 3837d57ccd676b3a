"""The check of a run's pictures, and how they are split."""

import shutil

import cv2
import numpy as np
import pytest

from pvt_edge.data.labelled_set import BoxSample, BoxSet, ClassSample, ClassSet
from pvt_edge.errors import DataError
from pvt_edge.training.data import split

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from pvt_edge.training.data_check import check_data  # noqa: E402

NAMES = ("cat", "dog")


def classes(folder, labels, names=NAMES):
    """A set of one small picture a label, each of its own grey."""
    folder.mkdir()
    samples = []
    for i, label in enumerate(labels):
        path = folder / f"{i}.png"
        assert cv2.imwrite(str(path), np.full((40, 60, 3), 10 * i + sum(map(ord, folder.name)) % 10, np.uint8))
        samples.append(ClassSample(path, label))
    return ClassSet(folder, names, tuple(samples))


@pytest.fixture
def parts(tmp_path):
    return classes(tmp_path / "train", [0, 0, 1, 1, 1]), classes(tmp_path / "val", [0, 1])


def test_counts_and_sizes(parts):
    checked = check_data(*parts, "the parts of data itself")
    assert checked.sizes_wh == ((60, 40),) * 5
    assert checked.notes == ()
    for text in (
        "| cat | 2 | 1 |",
        "| dog | 3 | 1 |",
        "| pictures | 5 | 2 |",
        "usually 60x40",
        "the parts of data itself",
    ):
        assert text in checked.page


def test_pictures_that_cannot_be_read_are_left_out(parts):
    train, val = parts
    train.samples[0].path.write_bytes(b"no picture")
    val.samples[1].path.unlink()
    checked = check_data(train, val, "")
    assert [sample.path.name for sample in checked.train.samples] == ["1.png", "2.png", "3.png", "4.png"]
    assert len(checked.val.samples) == 1
    told = "\n".join(checked.notes)
    assert "train/0.png" in told and "val/1.png" in told and "classes that nothing in val judges: dog" in told
    assert "train/0.png" in checked.page


def test_twins_in_train_and_val_are_told(parts):
    train, val = parts
    shutil.copy(train.samples[1].path, val.samples[0].path)
    (note,) = check_data(train, val, "").notes
    assert "in train and in val: 1" in note


@pytest.mark.parametrize(
    ("train", "val", "told"),
    [
        ([0, 0], [0, 1], "classes in val that train has nothing of: dog"),
        ([], [0], "cannot be read: there are none"),
    ],
)
def test_data_that_cannot_be_learnt_from(tmp_path, train, val, told):
    with pytest.raises(DataError, match=told):
        check_data(classes(tmp_path / "train", train), classes(tmp_path / "val", val), "")


def test_labels_of_one_class_are_too_few_to_tell_apart(tmp_path):
    train, val = classes(tmp_path / "train", [0, 0]), classes(tmp_path / "val", [0])
    assert check_data(train, val, "").notes
    with pytest.raises(DataError, match=r"train \(train\) has labels of cat alone: .* tells 2 classes apart"):
        check_data(train, val, "", least_classes=2)


def boxes(folder, sides, note):
    """A picture a side of the square box in it, of class 0."""
    samples = [
        BoxSample(one.path, i, np.array([[8, 8, 8 + side, 8 + side]], np.float32), np.array([0]))
        for i, (one, side) in enumerate(zip(classes(folder, [0] * len(sides)).samples, sides, strict=True))
    ]
    return BoxSet(folder, NAMES, tuple(samples), notes=(note,))


def test_boxes_without_area_are_not_learnt_from(tmp_path):
    checked = check_data(boxes(tmp_path / "a", [20, 0, 10], "odd"), boxes(tmp_path / "b", [10, 0], "odd"), "")
    assert [len(sample.labels) for sample in checked.train.samples] == [1, 0, 1]
    assert [len(sample.labels) for sample in checked.val.samples] == [1, 1]  # what judges knows of them itself
    assert "| cat | 2 | 1 |" in checked.page
    assert checked.notes.count("odd") == 1  # of both parts
    for train, val, part in (([0, 0], [10], "train"), ([10], [0], "val")):
        with pytest.raises(DataError, match=rf"\({part}\) has no labels: nothing to"):
            check_data(boxes(tmp_path / f"{part}1", train, ""), boxes(tmp_path / f"{part}2", val, ""), "")


def test_one_class_and_classes_without_pictures_are_told(tmp_path):
    one = check_data(classes(tmp_path / "a", [0, 0], NAMES[:1]), classes(tmp_path / "b", [0], NAMES[:1]), "")
    assert "one class alone: cat" in one.notes[0]
    less = check_data(classes(tmp_path / "c", [0, 0]), classes(tmp_path / "d", [0]), "")
    assert "without anything to learn from: dog" in less.notes[0]


# --- splits


def test_each_class_gives_its_share_and_seeds_repeat(tmp_path):
    dataset = classes(tmp_path / "data", [0] * 10 + [1] * 5)
    train, val = split(dataset, seed=3)
    assert (len(train), len(val)) == (12, 3)
    assert sorted(train + val) == list(range(15))
    assert sum(i < 10 for i in val) == 2
    assert split(dataset, seed=3) == (train, val)
    assert any(split(dataset, seed=seed) != (train, val) for seed in range(4, 8))


def test_a_class_of_one_picture_is_learnt_from(tmp_path):
    train, val = split(classes(tmp_path / "data", [0, 0, 0, 1]), seed=0)
    assert 3 in train and len(val) == 1
    train, val = split(classes(tmp_path / "two", [0, 1]), seed=0)
    assert (len(train), len(val)) == (1, 1)
    with pytest.raises(DataError, match="takes two"):
        split(classes(tmp_path / "one", [0]))


def test_a_picture_of_several_classes_counts_for_the_rarest(tmp_path):
    labels = [[0], [0, 1], [0, 1], [0], [0], [0], [0], [], []]
    samples = [
        BoxSample(tmp_path / f"{i}.png", i, np.zeros((len(each), 4), np.float32), np.array(each, np.int64))
        for i, each in enumerate(labels)
    ]
    for seed in range(5):
        train, _ = split(BoxSet(tmp_path, NAMES, tuple(samples)), seed=seed)
        assert len({1, 2} & set(train)) == 1
