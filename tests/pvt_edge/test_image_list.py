"""Text files with a path and a label a line."""

import pytest

from pvt_edge.data.classed_pictures import read_image_list
from pvt_edge.errors import DataError

LABELS = ["cat", "tabby cat", "dog", "crane", "crane", "tench, Tinca tinca"]


def read(tmp_path, text: str, labels=LABELS) -> dict[str, int]:
    """{path below the folder of pictures: label index} of a list."""
    file = tmp_path / "val.txt"
    file.write_text(text)
    found = read_image_list(file, tmp_path / "pictures", labels)
    assert found.source == file
    return {path.relative_to(tmp_path / "pictures").as_posix(): label for path, label in found.samples}


@pytest.mark.parametrize(
    ("line", "path", "label"),
    [
        ("a.jpg cat", "a.jpg", 0),
        ("a.jpg 2", "a.jpg", 2),
        ("sub/a.jpg   dog ", "sub/a.jpg", 2),
        ("a.jpg\tdog", "a.jpg", 2),
        ("a.jpg, dog", "a.jpg", 2),
        ("a.jpg tabby cat", "a.jpg", 1),  # the longest label, not a file called "a.jpg tabby"
        ("my photo.jpg tabby cat", "my photo.jpg", 1),
        ("my photo.jpg\tcat", "my photo.jpg", 0),
        ("a.jpg 4", "a.jpg", 4),  # of two cranes, the second
        ("a.jpg tench, Tinca tinca", "a.jpg", 5),
        ("a.jpg,tench, Tinca tinca", "a.jpg", 5),
        ("a.jpg\ttench, Tinca tinca", "a.jpg", 5),
        ("my, photo.jpg , tench, Tinca tinca", "my, photo.jpg", 5),
        ("my,photo.jpg\tdog", "my,photo.jpg", 2),
    ],
)
def test_a_line(tmp_path, line, path, label):
    assert read(tmp_path, line) == {path: label}


def test_what_is_passed_over(tmp_path):
    assert read(tmp_path, "# path label\n\na.jpg cat\r\n   \n  # b.jpg dog\nc.jpg 1\n") == {"a.jpg": 0, "c.jpg": 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.jpg cat\n\nb.jpg dgo\n", "line 3: unknown class 'dgo': did you mean 'dog'?"),
        ("a.jpg cat\nb.jpg dog\na.jpg 2\n", "line 3: a.jpg is 'dog' here and 'cat' in line 1: it has one class"),
        ("a.jpg\n", "line 1: 'a.jpg' is not a path and a label, such as: pictures/1.jpg cat"),
        ("a.jpg, taby cat\n", "line 1: unknown class 'taby cat': did you mean 'tabby cat'?"),
        ("a.jpg\tbig dog\n", "line 1: unknown class 'big dog'"),  # not a file called "a.jpg<tab>big"
        (f"a.jpg {'1' * 5000}\n", "line 1: unknown class '111"),
        (", cat\n", "line 1: ', cat' is not a path and a label"),
        ("cat,\n", "line 1: 'cat,' is not a path and a label"),
        (
            "a.jpg 6\n",
            "line 1: unknown class '6': known are cat, tabby cat, dog, crane, tench, Tinca tinca; or its index",
        ),
        ("a.jpg -1\n", "line 1: unknown class '-1'"),
        ("a.jpg crane\n", "line 1: 2 classes are called 'crane'; name it 3 or 4"),
        ("", "lists no pictures: expected are lines such as: pictures/1.jpg cat"),
        ("# nothing\n", "lists no pictures"),
    ],
)
def test_lists_that_make_no_sense(tmp_path, text, told):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "val.txt"))
    assert told in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_path(tmp_path):
    assert read(tmp_path, "\ufeffa.jpg cat\n") == {"a.jpg": 0}


def test_no_list(tmp_path):
    with pytest.raises(DataError, match="No such file or directory"):
        read_image_list(tmp_path / "absent.txt", tmp_path, LABELS)
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\x00")
    with pytest.raises(DataError, match="is no list of pictures: it is not text"):
        read_image_list(tmp_path / "picture.jpg", tmp_path, LABELS)
