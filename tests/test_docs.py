"""README.md and docs/ as their readers type them: commands and options exist, blocks parse, links lead somewhere."""

import inspect
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

import pvt_edge
from pvt_edge.cli.app import app
from pvt_edge.options.export import ExportOptions

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
COMMANDS = typer.main.get_command(app).commands


class Place(NamedTuple):
    """Something in a page: a block's code, a command, a link."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Place]:
    """The fenced blocks of these languages, by default of all."""
    found = [(page, re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)) for page, text in TEXTS.items()]
    return [
        Place(page, TEXTS[page][: block.start()].count("\n") + 2, block[2])
        for page, each in found
        for block in each
        if not languages or block[1] in languages
    ]


def matches(pattern: str) -> list[Place]:
    """What the pattern's group finds, with its line."""
    return [
        Place(page, number, found)
        for page, text in TEXTS.items()
        for number, line in enumerate(text.splitlines(), 1)
        for found in re.findall(pattern, line)
    ]


def commands(code: str) -> list[list[str]]:
    """The pvt-edge commands of a block as words, continued lines joined and comments left out."""
    lines = code.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("pvt-edge ")]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


SHELL = blocks("bash", "sh")
PYTHON = blocks("python")
TYPED = [words for block in blocks() for words in commands(block.text)]
INLINE = matches(r"`pvt-edge ([a-z][^`]*)`")
LINKS = matches(r"\]\((?!https?:)([^)\s]+)\)")
SCRIPTS = matches(r"\b((?:benchmarks|docs|tests|export|runtimes|pvt_edge)/[\w/-]+\.(?:py|md|jpg|service|toml))\b")


def test_all_pages_were_read():
    assert len(PAGES) >= 11
    assert sum(text.count("\n```") for text in TEXTS.values()) % 2 == 0
    assert {words[0] for words in TYPED} == set(COMMANDS)
    assert len(INLINE) >= 10
    assert len(LINKS) >= 20
    assert len(SCRIPTS) >= 10


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_commands_are_taken_as_they_stand(words):
    assert words[0] in COMMANDS
    COMMANDS[words[0]].make_context(words[0], words[1:])  # parses, and runs nothing


@pytest.mark.parametrize("place", INLINE, ids=str)
def test_commands_in_the_text_have_their_options(place):
    command, *words = place.text.split()
    assert command in COMMANDS
    known = {name for parameter in COMMANDS[command].params for name in parameter.opts}
    assert {word.rstrip(",") for word in words if word.startswith("-") and word != "-"} <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_the_site_has_every_option_with_what_it_does(command):
    page = runpy.run_path(str(CHECKOUT / "docs" / "generated_pages.py"))["cli_page"]()
    section = page.partition(f"## {command}\n")[2].partition("\n## ")[0]
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            (row,) = [line for line in section.splitlines() if line.startswith(f"| `{parameter.opts[0]}`")]
            assert len(row.split(" | ")[1]) > 5, f"{parameter.opts[0]} says nothing of itself"


FUNCTIONS = [name for name in pvt_edge.__all__ if inspect.isfunction(getattr(pvt_edge, name))]
METHODS = ["Predictor.__call__", "Predictor.stream", *(f"Result.{name}" for name in ("plot", "save", "save_crops"))]


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_public_calls_say_what_they_take_and_give(name):
    """In Google's sections, of which the site makes tables."""
    holder, _, last = name.rpartition(".")
    call = getattr(getattr(pvt_edge, holder) if holder else pvt_edge, last)
    text = inspect.getdoc(call)
    taken = text.partition("\nArgs:\n")[2].partition("\n\n")[0]
    if name == "export_model":
        taken += "\n" + inspect.getdoc(ExportOptions).partition("Attributes:\n")[2]
    said = re.findall(r"^ {4}\*{0,2}(\w+):", taken, re.MULTILINE)
    assert set(inspect.signature(call).parameters) - {"self"} - set(said) == set()
    assert "\nReturns:\n" in text or name == "save_weights"
    assert "\nRaises:\n" in text


def test_the_site_has_every_page():
    listed = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.parent.name == "docs" and f"{page.name}\n" not in listed] == []


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell_blocks_parse(block):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    done = subprocess.run([bash, "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_blocks_compile(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("link", LINKS, ids=str)
def test_links_lead_somewhere(link):
    file, _, anchor = link.text.partition("#")
    target = link.page.parent / file if file else link.page
    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in map(slug, headings)


@pytest.mark.parametrize("place", SCRIPTS, ids=str)
def test_files_of_the_repository_exist(place):
    assert (CHECKOUT / place.text).is_file()
