"""JSON lines and CSV, read back."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sinks import CsvRows, JsonLines, open_sinks

from .made import NAMES, result


def test_nothing_written_leaves_an_empty_json_and_a_header(tmp_path):
    with open_sinks(json=tmp_path / "out.jsonl", csv=tmp_path / "out.csv"):
        pass
    assert (tmp_path / "out.jsonl").read_text() == ""
    header = "stream,source,frame,captured_at,name,class,confidence,x1,y1,x2,y2,track_id,page,video_s,area,pixels"
    assert (tmp_path / "out.csv").read_text().splitlines() == [header]


def test_json_lines_are_there_at_once(tmp_path):
    with JsonLines(tmp_path / "new" / "out.jsonl") as sink:
        for number in range(3):
            sink.write(result(number))
            assert len((tmp_path / "new" / "out.jsonl").read_text().splitlines()) == number + 1
    lines = (tmp_path / "new" / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"]["id"] for line in lines] == [0, 1, 2]


def test_a_line_tells_of_the_stream_and_the_track(tmp_path):
    with JsonLines(tmp_path / "out.jsonl") as sink:
        sink.write(result(7, at=1000.5, stream=1, track=4))
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert line["frame"] == {"id": 7, "captured_at": 1000.5, "age_ms": 12.5, "video_s": None}
    stream = {"id": 1, "source": "camera 1", "dropped": 3, "reconnects": 0, "decode_errors": 0}
    assert line["stream"] == stream
    assert [found["track_id"] for found in line["predictions"]] == [4]


@pytest.mark.parametrize(
    ("given", "row"),
    [
        (result(7, at=1000.5, stream=1, track=4), "1,camera 1,7,1000.500,RBC,0,0.9,10.0,10.0,30.0,30.0,4,,,,"),
        (result(7, at=1000.5, stream=1, track=-1), "1,camera 1,7,1000.500,RBC,0,0.9,10.0,10.0,30.0,30.0,,,,,"),
        (result(2, path="a,b.png"), ',"a,b.png",2,0.000,RBC,0,0.9,10.0,10.0,30.0,30.0,,,,,'),
        (result(2, path="a.mp4", video_s=0.28), ",a.mp4,2,0.000,RBC,0,0.9,10.0,10.0,30.0,30.0,,,0.280000,,"),
    ],
    ids=["tracked", "not yet sure", "a picture", "of a video"],
)
def test_a_row_a_box(tmp_path, given, row):
    with CsvRows(tmp_path / "new" / "out.csv") as sink:
        sink.write(given)
        assert (tmp_path / "new" / "out.csv").read_text().splitlines()[1] == row
    with open(tmp_path / "new" / "out.csv", newline="") as file:
        assert next(csv.DictReader(file))["name"] == "RBC"


def test_json_to_standard_output_leaves_it_open(capsys):
    with open_sinks(json="-") as sinks:
        sinks.write(result(4))
    print("still open")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["frame"]["id"] == 4
    assert second == "still open"


@pytest.mark.parametrize(("encoding", "errors"), [("ascii", "strict"), ("ascii", "replace"), ("cp1252", "strict")])
def test_names_come_whole_through_a_standard_output_that_lacks_their_letters(monkeypatch, encoding, errors):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, errors))
    with JsonLines("-") as sink:
        sink.write(replace(result(), names=("Z\u00e4hler \u7ec6",)))
        sink.write(result())
    first, second = raw.getvalue().decode(encoding).splitlines()
    assert json.loads(first)["predictions"][0]["name"] == "Z\u00e4hler \u7ec6"
    assert json.loads(second)["predictions"][0]["name"] == NAMES[0]


def test_a_closed_standard_output_is_told_at_once(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it after >&-
    with pytest.raises(DataError, match="cannot write to standard output: it is closed"):
        open_sinks(json="-")


@pytest.mark.parametrize("kind", [JsonLines, CsvRows])
def test_a_place_that_cannot_be_opened_is_named(tmp_path, kind):
    for place in (tmp_path, "/proc/out"):
        with pytest.raises(DataError, match=r"cannot write .*choose another place"):
            kind(place)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("kind", [JsonLines, CsvRows])
def test_a_full_disk_is_an_error(kind):
    sink = kind("/dev/full")
    with pytest.raises(DataError, match="/dev/full: No space left"):
        sink.write(result())
    with pytest.raises(DataError, match="No space left"):  # what could not be flushed is still there
        sink.close()


@pytest.mark.parametrize("kind", [JsonLines, CsvRows])
def test_writing_after_close_is_an_error(tmp_path, kind):
    sink = kind(tmp_path / "out")
    sink.close()
    sink.close()
    with pytest.raises(DataError, match="closed"):
        sink.write(result())
