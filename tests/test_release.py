"""The files of a release agree with the package: citation, workflow, issue forms, images, licences."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
import typer
import yaml

from pvt_edge.cli.app import app

CHECKOUT = Path(__file__).resolve().parents[1]
FORMS = sorted((CHECKOUT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
DOCKERFILES = ("Dockerfile", "Dockerfile.jetson")
COMMANDS = typer.main.get_command(app).commands
PACKAGE = distribution("pvt-edge")
EXTRAS = set(PACKAGE.metadata.get_all("Provides-Extra", []))


def read_yaml(name: str) -> dict:
    return yaml.safe_load((CHECKOUT / name).read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version():
    citation = read_yaml("CITATION.cff")
    assert (citation["version"], citation["license"]) == (PACKAGE.version, PACKAGE.metadata["License-Expression"])


def test_the_newest_release_of_the_changelog_is_this_version():
    releases = re.findall(r"^## \[([\d.]+)\] - (\S+)$", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == (PACKAGE.version, str(read_yaml("CITATION.cff")["date-released"]))


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_wheel_that_is_installed_has_its_name(page):
    names = re.findall(r"pvt_edge-([\d.]+)-py3-none-any\.whl", (CHECKOUT / page).read_text(encoding="utf-8"))
    assert set(names) == {PACKAGE.version}


def test_the_quickstart_names_every_extra():
    table = (
        (CHECKOUT / "docs/index.md").read_text(encoding="utf-8").partition("| extra | brings |")[2].partition("\n\n")[0]
    )
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {extra for row in rows for extra in re.findall(r"`([\w-]+)`", row)} == EXTRAS


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "config.yml"], ids=lambda form: form.name)
def test_issue_forms_ask_for_doctor(form):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(content)
    fields = {field["id"]: field for field in content["body"]}
    assert len(fields) == len(content["body"])
    assert "`pvt-edge doctor --json -`" in fields["doctor"]["attributes"]["label"]


def test_a_fault_is_not_filed_without_doctor():
    fields = {field["id"]: field for field in read_yaml(".github/ISSUE_TEMPLATE/bug.yml")["body"]}
    assert fields["doctor"]["validations"]["required"] is True


def test_the_workflow_tries_every_python_that_is_claimed():
    jobs = read_yaml(".github/workflows/ci.yml")["jobs"]
    device = jobs["device"]["strategy"]["matrix"]
    assert PACKAGE.metadata["Requires-Python"] == "<3.14,>=3.10"
    assert device["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert any(machine.endswith("-arm") for machine in device["machine"])
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert any(".ci/run" in step for step in steps)
    targets = set(re.findall(r"^(\w[\w-]*):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert {name for step in steps for name in re.findall(r"\bmake ([\w-]+)", step)} <= targets


def test_hooks_run_what_the_checkout_has():
    hooks = [hook for repo in read_yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert all(hook["language"] == "system" for hook in hooks)  # nothing is fetched
    words = [word for hook in hooks for word in hook["entry"].split()]
    assert [word for word in words if word.startswith("tests/") and not (CHECKOUT / word).is_file()] == []


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_install_extras_that_exist(name):
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    given = re.findall(r"^ARG EXTRAS=([\w,-]+)$|\.whl\)\[([\w,-]+)\]", text, re.MULTILINE)
    extras = {extra for pair in given for extra in "".join(pair).split(",")}
    assert extras
    assert extras <= EXTRAS


@pytest.mark.parametrize("name", DOCKERFILES)
def test_commands_of_the_images_are_taken(name):
    comments = [line[1:].strip() for line in (CHECKOUT / name).read_text().splitlines() if line.startswith("#")]
    lines = "\n".join(comments).replace("\\\n", " ").splitlines()
    typed = [re.split(r" pvt-edge(?:-jetson)? ", line)[-1] for line in lines if line.startswith("docker run")]
    assert len(typed) >= 2
    for line in typed:
        command, *words = shlex.split(line)
        COMMANDS[command].make_context(command, words)  # parses, and runs nothing


def test_licences_of_what_is_brought_along(tmp_path):
    command = [sys.executable, CHECKOUT / ".ci/licences.py", "openvino"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    rows = dict(re.findall(r"^\| ([\w-]+) \| [\d.]\S* \| (.+) \|$", done.stdout, re.MULTILINE))
    assert {"numpy", "openvino", "pydantic-core"} <= set(rows)  # the core, the extra, what these need
    assert "torch" not in rows
    assert rows["openvino"] == "Apache-2.0"
    assert "NOT STATED" not in rows.values()
