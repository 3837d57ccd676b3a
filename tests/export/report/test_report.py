"""The files of a report: which are written, and what programs read of them."""

import json
import math
import re
import sys

import pytest

from pvt_edge.bundle.contents import unlisted
from pvt_edge.bundle.schema import CalibrationRecord
from pvt_edge.export.precision.record import SearchRecord
from pvt_edge.export.report.files import write_report

from .searches import CANDIDATES, GROUPS, candidate, file_record, manifest, search

PLOTS = ("plots/pareto.png", "plots/latency.png", "plots/sensitivity.png", "plots/layers.png")


@pytest.mark.parametrize(
    ("changes", "plots"),
    [
        ({}, PLOTS),
        ({"layer_groups": ()}, PLOTS[:3]),
        ({"layer_groups": (), "sensitivities": ()}, PLOTS[:2]),
        ({"candidates": (candidate("fp32", None, 0.8),)}, PLOTS[2:]),
        ({"candidates": (), "sensitivities": (), "layer_groups": ()}, ()),
    ],
)
def test_what_is_written(tmp_path, changes, plots):
    names = write_report(tmp_path, manifest(), search(**changes))
    assert names == ("report.json", "report.md", *plots)
    assert sorted(names) == sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert unlisted(tmp_path, ()) == ()  # a bundle may hold them all
    embedded = re.findall(r"^!\[.+\]\((.*)\)$", (tmp_path / "report.md").read_text(), flags=re.MULTILINE)
    assert sorted(embedded) == sorted(plots)


def facts(folder, given_manifest, given_search) -> dict:
    write_report(folder, given_manifest, given_search)
    return json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)


def test_json_holds_the_search_whole(tmp_path):
    given = search(interrupted=True)
    assert SearchRecord.model_validate(facts(tmp_path, manifest(), given)["search"]) == given


def test_json_holds_what_is_no_number(tmp_path):
    details = {"AP of a class in no picture": math.nan, "inf": math.inf, "-inf": -math.inf, "AP": 0.5}
    given = search(candidates=(CANDIDATES[0].model_copy(update={"details": details}),))
    read = SearchRecord.model_validate(facts(tmp_path, manifest(), given)["search"])
    assert read.candidates[0].details == pytest.approx(details, nan_ok=True)


def test_json_holds_facts_of_the_manifest(tmp_path):
    left_out = {"skipped": ("x.png: empty",), "duplicates": 2, "left_out": ("black.png: one colour",)}
    images = (file_record("a.png", 7), file_record("b.png", 8))
    calibration = CalibrationRecord(source="images/", seed=3, images=images, count=2, **left_out)
    read = facts(tmp_path, manifest(calibration=calibration), search())
    assert (read["variant"], read["task"]) == ("b0", "detect")
    assert read["input"] == {"batch": 1, "height": 480, "width": 640}
    assert read["artifacts"] == [
        {"file": "model.fp32.onnx", "runtime": "onnxruntime", "precision": "fp32", "bytes": 15 * 2**20 + 700_000},
        {"file": "openvino/int8.xml", "runtime": "openvino", "precision": "int8", "bytes": 6 * 2**20 + 2**19},
    ]
    assert read["calibration"] == {
        "source": "images/",
        "seed": 3,
        "count": 2,
        "skipped": ["x.png: empty"],
        "duplicates": 2,
        "left_out": ["black.png: one colour"],
    }
    assert read["command"] == "pvt-edge export --variant b0 --int8 --max-drop 0.005"


def test_json_without_calibration(tmp_path):
    assert facts(tmp_path, manifest(calibration=None), search())["calibration"] is None


@pytest.mark.parametrize("missing", ["matplotlib", "matplotlib.figure"])
def test_without_matplotlib(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    names = write_report(tmp_path, manifest(), search(layer_groups=GROUPS))
    assert names == ("report.json", "report.md")
    assert not (tmp_path / "plots").exists()
    text = (tmp_path / "report.md").read_text()
    assert 'pip install "pvt-edge[bench]"' in text
    assert "![" not in text


def test_nothing_of_installing_where_plots_were_drawn(tmp_path):
    write_report(tmp_path, manifest(), search())
    assert "pip install" not in (tmp_path / "report.md").read_text()


def test_a_report_over_an_older_one(tmp_path):
    write_report(tmp_path, manifest(), search(verdict="the first"))
    write_report(tmp_path, manifest(), search(verdict="the second"))
    text = (tmp_path / "report.md").read_text()
    assert "the second" in text
    assert "the first" not in text
