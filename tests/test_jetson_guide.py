"""docs/jetson.md: its pipelines and its table of options; test_docs.py reads the rest."""

import ast
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from pvt_edge.cli.app import app

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "jetson.md"
TEXT = GUIDE.read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)


class Block(NamedTuple):
    """A fenced block by its language and first line."""

    language: str
    line: int
    code: str


def fenced(text: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], text[: m.start()].count("\n") + 2, m[2]) for m in found]


def shell_lines(code: str) -> list[list[str]]:
    """The commands of a shell block as words, continued lines joined and comments left out."""
    lines = code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def pipelines(block: Block) -> list[str]:
    """The GStreamer pipelines in a block: strings of Python, arguments of gst-launch-1.0."""
    if block.language == "python":
        texts = [node.value for node in ast.walk(ast.parse(block.code)) if isinstance(node, ast.Constant)]
        return [text for text in texts if isinstance(text, str) and "!" in text]
    return [" ".join(words[1:]) for words in shell_lines(block.code) if words[0] == "gst-launch-1.0"]


BLOCKS = fenced(TEXT)
SHELL = [block for block in BLOCKS if block.language == "bash"]
PYTHON = [block for block in BLOCKS if block.language == "python"]
COMMANDS = [words[1:] for block in SHELL for words in shell_lines(block.code) if words[0] == "pvt-edge"]
BUILD_OPTIONS = re.findall(r"^\| `(--[a-z-]+)", TEXT, re.MULTILINE)
PIPELINES = [pipeline for block in (*SHELL, *PYTHON) for pipeline in pipelines(block)]


def test_the_guide_was_read():
    assert {words[0] for words in COMMANDS} == {"export", "build", "predict"}
    assert len(BLOCKS) == TEXT.count("```") / 2
    assert {block.language for block in BLOCKS} == {"bash", "python", "text"}
    assert len(PIPELINES) == 3
    assert "--workspace" in BUILD_OPTIONS


def options_of(command: str) -> set[str]:
    assert command in GROUP.commands, f"no command pvt-edge {command}: there are {', '.join(GROUP.commands)}"
    return {name for parameter in GROUP.commands[command].params for name in parameter.opts}


@pytest.mark.parametrize("option", BUILD_OPTIONS)
def test_build_has_the_options_of_the_table(option):
    assert option in options_of("build")


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda text: text.split()[0])
def test_pipelines_are_chains_of_elements(pipeline):
    elements = [element.strip() for element in pipeline.split("!")]
    assert len(elements) >= 4
    for element in elements:
        assert re.fullmatch(r"[a-z][a-z0-9]*( [a-z-]+=\S+)*|video/x-raw(\(memory:NVMM\))?(,[a-z]+=[\w/]+)+", element)
    assert elements[-1].split()[0] in ("appsink", "fakesink")
