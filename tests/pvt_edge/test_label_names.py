"""A class by its label or its id: one rule for commands and calls."""

import numpy as np
import pytest
import typer

from pvt_edge.cli.options import parse_classes
from pvt_edge.errors import ArgumentError, DataError, RuntimeInputError, UnknownNameError
from pvt_edge.label_names import class_ids, label_index, other_reading

NAMES = ("RBC", "WBC", "Platelets", "great white, shark")
NUMBERS = ("2", "0", "ten", "1")  # labels that look like the ids of others
TWINS = ("crane", "dog", "crane")


@pytest.mark.parametrize(
    ("wanted", "labels", "ids"),
    [
        ([], NAMES, ()),
        ("WBC", NAMES, (1,)),
        (1, NAMES, (1,)),
        (np.int64(1), NAMES, (1,)),
        (np.array([2, 0]), NAMES, (0, 2)),
        ({"WBC", "RBC"}, NAMES, (0, 1)),
        (["2", "WBC", 1], NAMES, (1, 2)),  # digits that are no label are an id
        ("great white, shark", NAMES, (3,)),
        ("cafe\u0301", ("caf\u00e9",), (0,)),  # as macOS spells it in the name of a folder
        ("2", NUMBERS, (0,)),  # a label goes before an id
        ("1", NUMBERS, (3,)),
        ("3", NUMBERS, (3,)),
        (1, NUMBERS, (1,)),  # a number is always an id
        (["dog", 0], TWINS, (0, 1)),
    ],
)
def test_labels_go_before_ids(wanted, labels, ids):
    assert class_ids(wanted, labels) == ids


@pytest.mark.parametrize(
    ("wanted", "labels", "error", "words"),
    [
        ("rbc", NAMES, UnknownNameError, "did you mean 'RBC'"),
        ("Platelet", NAMES, UnknownNameError, "did you mean 'Platelets'"),
        ("7", NAMES, UnknownNameError, "unknown class '7'"),
        ("-1", NAMES, UnknownNameError, "unknown class '-1'"),
        (4, NAMES, RuntimeInputError, "from 0 to 3 .*got 4"),
        ("crane", TWINS, DataError, "2 classes are called 'crane'; name it 0 or 2"),
        (0, (), RuntimeInputError, "no classes"),
        (True, NAMES, ArgumentError, "not True"),
        (1.0, NAMES, ArgumentError, "not 1.0"),
        ([None], NAMES, ArgumentError, "not None"),
        ({"RBC": 1}, NAMES, ArgumentError, "not a dict"),
        (b"RBC", NAMES, ArgumentError, "not b'RBC'"),
    ],
)
def test_what_names_no_class_is_refused(wanted, labels, error, words):
    with pytest.raises(error, match=words):
        class_ids(wanted, labels)


def test_labelled_data_follow_the_same_rule():
    assert [label_index(name, NUMBERS) for name in ("2", "1", "3", "ten")] == [0, 3, 3, 2]


@pytest.mark.parametrize(("name", "other"), [("2", None), ("0", 0), ("1", 1), ("3", None), ("ten", None)])
def test_a_name_that_another_class_has_as_its_id(name, other):
    labels = ("9", "0", "2", "1")
    assert other_reading(name, labels) == other


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (["RBC,2"], ["RBC", "2"]),
        (["RBC", "2, WBC,"], ["RBC", "2", "WBC"]),
        (["great white, shark"], ["great white, shark"]),
        (['RBC, "great white, shark"'], ["RBC", "great white, shark"]),
    ],
)
def test_the_command_line_lists_classes(texts, classes):
    assert parse_classes(texts, NAMES) == classes


@pytest.mark.parametrize("texts", [[""], [" , "]])
def test_no_class_is_not_every_class(texts):
    with pytest.raises(typer.BadParameter, match="names no class"):
        parse_classes(texts, NAMES)
