"""Options objects as options of the command line."""

from dataclasses import dataclass
from inspect import signature
from typing import Annotated, TypedDict

import pytest
import typer
from typer.testing import CliRunner

import pvt_edge
from pvt_edge.cli.spread import options_of, spread
from pvt_edge.options.build import BuildOptions
from pvt_edge.options.export import ExportOptions
from pvt_edge.options.flag import Flag
from pvt_edge.options.preprocessing import Preprocessing
from pvt_edge.options.run import (
    Limits,
    LoadOptions,
    MachineOptions,
    PredictOptions,
    RunOptions,
    SideOptions,
    SliceOptions,
    ValOptions,
)
from pvt_edge.options.stream import FollowOptions, OutputOptions, SourceOptions
from pvt_edge.options.train import TrainOptions

OBJECTS = (
    BuildOptions,
    ExportOptions,
    FollowOptions,
    Limits,
    LoadOptions,
    MachineOptions,
    OutputOptions,
    PredictOptions,
    Preprocessing,
    RunOptions,
    SideOptions,
    SliceOptions,
    SourceOptions,
    TrainOptions,
    ValOptions,
)


def split(text):
    return tuple(text.split("+"))


@dataclass(frozen=True)
class Colour:
    """Of a wall."""

    names: Annotated[tuple[str, ...], Flag("Which.", "--name", kind=str, default="red", read=split)] = ("red",)
    coats: Annotated[int | None, Flag("How many.", min=1)] = None
    matt: Annotated[bool, Flag("No gloss.")] = False
    seal: Annotated[bool | None, Flag("Or not.", "--seal/--no-seal")] = None
    tint: float = 0.5


class Brush(TypedDict, total=False):
    """To paint with."""

    width_mm: Annotated[float | None, Flag("Across.", name="width")]
    soft: Annotated[bool, Flag("Of hair.")]
    marks: Annotated["list[int]", Flag("Several.", kind=list[str], read=lambda texts: [int(text) for text in texts])]


def paint(*words):
    """(what the command was called with, or None; what it printed)."""
    given = []

    @spread(after={"coats": ["undercoat"]}, panels={"brush": "Tools"})
    def command(*, wall: str, colour: Colour, undercoat: str = "none", brush: Brush) -> None:
        """Paint a wall."""
        given.append((wall, colour, undercoat, brush))

    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "100", "TERM": "dumb"})
    return (given[0] if given else None), done.output


@pytest.mark.parametrize(
    ("words", "colour", "brush"),
    [
        ([], Colour(), {}),
        (["--name", "blue+grey", "--coats", "2"], Colour(("blue", "grey"), 2), {}),
        (["--matt", "--no-seal"], Colour(matt=True, seal=False), {}),
        (["--width", "40", "--soft"], Colour(), {"width_mm": 40.0, "soft": True}),
        (["--marks", "1", "--marks", "2"], Colour(), {"marks": [1, 2]}),
    ],
    ids=str,
)
def test_the_command_gets_its_objects(words, colour, brush):
    assert paint("north", *words)[0] == ("north", colour, "none", brush)


@pytest.mark.parametrize(
    "words",
    [["--coats", "0"], ["--tint", "1"], ["--no-matt"], ["--names", "blue"], ["--width", "nan"]],
    ids=str,
)
def test_wrong_usage(words):
    assert paint("north", *words)[0] is None


def test_help_has_every_field_in_its_place():
    _, text = paint("--help")
    places = [text.index(f"--{name} ") for name in ("name", "coats", "undercoat", "matt", "seal")]
    assert places == sorted(places)
    assert text.index("Tools") < text.index("--width ") < text.index("--soft ") < text.index("--marks ")
    assert "[default: red]" in text
    assert "tint" not in text


@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.__name__)
def test_no_two_options_have_one_name(kind):
    names = [option.parameter.name for option in options_of(kind)]
    assert names
    assert len(set(names)) == len(names)


def test_python_shows_the_keywords_without_what_the_command_line_knows():
    parameters = signature(pvt_edge.export_model).parameters
    assert list(parameters)[:2] == ["model", "out"]
    assert set(ExportOptions.__annotations__) <= set(parameters)
    assert parameters["calib_n"].default == 256
    assert parameters["calib_n"].annotation is int
    assert "Flag(" not in str(signature(pvt_edge.export_model))
