"""`--config`: what a file of options does, and what it says when it is wrong."""

from pathlib import Path

import pytest
import typer

from pvt_edge.cli import options as cli_options
from pvt_edge.cli.app import app
from pvt_edge.errors import DataError, UnknownNameError

PREDICT = typer.main.get_command(app).commands["predict"]


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "stream.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def options(*words):
    """The values that the command would be called with."""
    return PREDICT.make_context("predict", list(words)).params


def test_an_empty_file_changes_nothing(write):
    plain = options("out/b0", "0")
    assert {**options("out/b0", "0", "--config", write("")), "config": None} == plain


def test_every_kind_of_option(write):
    given = options(
        "--config",
        write(
            """
            bundle = "out/b0"
            sources = ["rtsp://a", "rtsp://b"]
            max-age = 150       # a whole number where any number does
            stall = 2.5
            source_width = 1280 # as Python writes it
            track = true
            count-line = ["0,1,2,3", "4,5,6,7"]
            save = "out.mp4"
            """
        ),
    )
    numbers = [given[name] for name in ("max_age", "stall", "source_width", "track")]
    assert numbers == [150.0, 2.5, 1280, True]
    assert given["bundle"] == Path("out/b0")
    assert given["save"] == "out.mp4"
    assert list(given["sources"]) == ["rtsp://a", "rtsp://b"]
    assert list(given["count_line"]) == ["0,1,2,3", "4,5,6,7"]


@pytest.mark.parametrize(
    ("text", "sources"), [('"clip.mp4"', ["clip.mp4"]), ("0", ["0"]), ('[0, "1"]', ["0", "1"])], ids=str
)
def test_one_source_needs_no_list(write, text, sources):
    assert list(options("--config", write(f'bundle = "b"\nsources = {text}'))["sources"]) == sources


def test_numbers_where_the_command_line_takes_a_text(write):
    given = options("b", "0", "--config", write("slice = 640\npixel-max = 4095\nclasses = [2]"))
    assert (given["slice"], given["pixel_max"], list(given["classes"])) == ("640", "4095", ["2"])


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(write):
    file = write('bundle = "file"\nsources = ["0"]\nstall = 9\nconf = 0.9\ncount-line = ["0,1,2,3"]')
    given = options("cli", "1", "--config", file, "--stall", "3", "--count-line", "9,9,0,0")
    assert (str(given["bundle"]), list(given["sources"])) == ("cli", ["1"])
    assert (given["stall"], given["conf"], given["webhook_every"]) == (3.0, 0.9, 0.0)
    assert list(given["count_line"]) == ["9,9,0,0"]


def test_where_the_config_stands_does_not_matter(write):
    file = write("stall = 9")
    assert options("--stall", "3", "out", "0", "--config", file)["stall"] == 3.0


def test_the_environment_fills_in_what_is_secret(write, monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", 'pa"ss')
    monkeypatch.setenv("HOST", "camera")
    given = options(
        "b", "--config", write("sources = ['rtsp://me:${CAMERA_PASSWORD}@${HOST}/1']\nsave = '${HOST}.mp4'")
    )
    assert list(given["sources"]) == ['rtsp://me:pa"ss@camera/1']
    assert given["save"] == "camera.mp4"


def test_a_token_of_the_environment_wins_over_the_file(write, monkeypatch):
    monkeypatch.setenv("PVT_EDGE_TOKEN", "environment")
    file = write('serve-token = "file"')
    assert options("b", "0", "--config", file)["serve_token"] == "environment"
    assert options("b", "0", "--config", file, "--serve-token", "line")["serve_token"] == "line"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trakc = true", "'trakc': did you mean 'track'?"),
        ("max_aeg = 5", "did you mean 'max-age'?"),
        ("config = 'x.toml'", "unknown option"),
        ("[outputs]\nsave = 'x'", "has a section [outputs]: write all options without sections"),
        ("max-age = '150'", "max-age must be a number, not '150'"),
        ("max-age = true", "max-age must be a number, not True"),
        ("source-width = 640.5", "source-width must be a whole number, not 640.5"),
        ("source-width = true", "source-width must be a whole number"),
        ("track = 'yes'", "track must be true or false, not 'yes'"),
        ("track = 1", "track must be true or false, not 1"),
        ("save = 5", "save must be a text"),
        ("json = ['a', 'b']", "json must be a text"),
        ("count-line = [0, 1, 2, 3]", "count-line must be a text"),
        ("sources = [1.5]", "sources must be a text"),
        ("save = '${PVT_EDGE_NOT_SET}/x'", "uses ${PVT_EDGE_NOT_SET}, which the environment does not have"),
        ("save out.mp4", "is not TOML"),
        ("stall = 1\nstall = 2", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(write, text, said):
    file = write(text)
    with pytest.raises((DataError, UnknownNameError)) as error:
        options("b", "0", "--config", file)
    assert said in str(error.value)
    assert file in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*none.toml: No such file"):
        options("b", "0", "--config", str(tmp_path / "none.toml"))


def test_wrong_values_are_one_line_and_no_traceback(write, pvt_edge_command):
    done = pvt_edge_command("predict", "--config", write("max-age = 'old'"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("pvt-edge: error: ")


def test_every_option_can_be_in_a_file():
    """A new option of a type that files know nothing of would fail here."""
    context = typer.Context(PREDICT)
    kinds = cli_options._kinds(context)
    assert set(kinds) == {parameter.name for parameter in PREDICT.params} - {"config"}
    for name, kind in kinds.items():
        assert kind in cli_options.KINDS or kind == list[str], name
