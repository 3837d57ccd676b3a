"""docs/streams.md and docs/systemd tell of every option, and show what streams give; test_docs.py reads the rest."""

import ast
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from pvt_edge.cli.app import app
from pvt_edge.sinks.video import CODECS
from pvt_edge.sources.synthetic import SCENES

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "streams.md").read_text(encoding="utf-8")
UNIT = (DOCS / "systemd" / "pvt-edge@.service").read_text(encoding="utf-8")
PREDICT = typer.main.get_command(app).commands["predict"]
EXPORT = typer.main.get_command(app).commands["export"]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
OTHERS = {"--system-site-packages", "--now", "--system", "--shell"}  # of venv, systemctl, useradd
OPTIONS = sorted(set(re.findall(r"--[a-z][a-z-]+", TEXT + UNIT)) - OTHERS)
FILES = [(DOCS / "systemd" / "stream.toml").read_text(), *[code for language, code in BLOCKS if language == "toml"]]


def test_the_guide_was_read():
    assert len(BLOCKS) == TEXT.count("```") / 2
    assert {language for language, _ in BLOCKS} == {"bash", "json", "python", "text", "toml"}
    assert {"--save", "--count-line", "--serve-token"} <= set(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_that_are_named_exist(option):
    assert option in {name for command in (PREDICT, EXPORT) for parameter in command.params for name in parameter.opts}


def test_every_option_of_streams_is_told():
    model = {
        "--conf",
        "--iou",
        "--max-det",
        "--classes",
        "--slice",
        "--overlap",
        "--whole-frame",
        "--runtime",
        "--precision",
        "--device",
        "--threads",
        "--rebuild",
    }
    names = {name for parameter in PREDICT.params for name in parameter.opts if len(name) > 2 and name.startswith("--")}
    assert names - model - set(OPTIONS) - {"--help"} == set()


@pytest.mark.parametrize("text", FILES, ids=["stream.toml", "the guide's"])
def test_files_of_options_are_taken(tmp_path, monkeypatch, text):
    monkeypatch.setenv("CAMERA_PASSWORD", "secret")
    (tmp_path / "stream.toml").write_text(text)
    given = PREDICT.make_context("predict", ["--config", str(tmp_path / "stream.toml")]).params
    assert list(given["sources"]) == ["rtsp://viewer:secret@192.168.1.20:554/stream1"]
    assert given["track"] is True


def test_the_unit_runs_a_command_that_exists():
    (start,) = re.findall(r"^ExecStart=\S+/pvt-edge (.*)$", UNIT, re.MULTILINE)
    words = shlex.split(start)
    assert words[0] == "predict"
    assert {word for word in words if word.startswith("--")} <= {n for p in PREDICT.params for n in p.opts}


def test_the_line_of_json_is_what_a_result_gives():
    from pvt_edge.results import Boxes, Counter, FrameInfo, Result, StreamInfo

    (shown,) = [json.loads(code) for language, code in BLOCKS if language == "json"]
    np = importlib.import_module("numpy")
    result = Result(
        np.zeros((480, 640, 3), np.uint8),
        ("RBC",),
        boxes=Boxes([[497.75, 7.57, 639.19, 164.12]], [0.91848], [0], [12]),
        frame=FrameInfo(412, 1795629858.31, 44.1, StreamInfo(0, "rtsp://***@192.168.1.20/stream1", 3, 1)),
        speed={"preprocess": 0.4, "inference": 33.9, "postprocess": 0.3},
        counters=(Counter("line 1", ((0, 240), (640, 240)), {"in": 2, "out": 4}),),
    )
    assert json.loads(result.to_json()) == shown


def test_the_status_line_is_what_a_status_gives():
    from pvt_edge.streams import StreamStatus

    (shown,) = [code.strip() for language, code in BLOCKS if language == "text"]
    assert shown == StreamStatus(0, "camera", True, fps=24.8, age_p95_ms=61.0, dropped=3, reconnects=1).line()


def test_python_blocks_compile_and_ask_for_what_exists():
    (code,) = [code for language, code in BLOCKS if language == "python"]
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (stream,) = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "stream"]
    from pvt_edge.predictor import Predictor

    known = Predictor.stream.__annotations__
    assert {keyword.arg for keyword in stream.keywords} <= set(known)


def test_suffixes_and_scenes_are_those_of_the_code():
    told = re.search(r"an annotated video \(([^)]*)\)", TEXT)
    assert told
    assert set(re.findall(r"\.\w+", told[1])) == set(CODECS) - {".m4v"}
    assert set(re.findall(r"synthetic://(\w+)", TEXT)) == set(SCENES)


def test_addresses_of_the_live_page_are_served():
    pytest.importorskip("aiohttp")
    from pvt_edge.live import routes

    source = Path(routes.__file__).read_text()
    for address in re.findall(r"^\| `(/[a-z/]*)(?:0)?` \|", TEXT, re.MULTILINE):
        assert f'"{address}' in source, address
