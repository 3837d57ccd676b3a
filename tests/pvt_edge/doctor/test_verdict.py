"""Verdicts of runtimes by what their probes answered."""

import pytest

from pvt_edge.doctor.facts import Device, judge
from pvt_edge.doctor.probes import Answer
from pvt_edge.machine.installed import Package
from pvt_edge.runtimes import RUNTIMES, table
from pvt_edge.runtimes.table import installed

CPU = {"name": "cpu", "description": "EPYC", "precisions": ["fp32", "int8"]}


def verdict(name, answer, packages=()):
    found = {v.name: v for v in judge({} if answer is None else {name: answer}, dict(packages))}
    assert list(found) == list(RUNTIMES)
    return found[name]


def test_one_that_runs():
    found = verdict("openvino", Answer({"version": "2026.4.1", "devices": [CPU]}))
    assert (found.ready, found.version, found.reason) == (True, "2026.4.1", None)
    assert found.devices == (Device("cpu", "EPYC", ("fp32", "int8")),)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            Answer(failure="ImportError: libtbb.so: no such file"),
            'ImportError: libtbb.so: no such file: pip install --force-reinstall "pvt-edge[openvino]"',
        ),
        (
            Answer(failure="it crashed (SIGILL): it said nothing"),
            'it crashed (SIGILL): it said nothing: pip install --force-reinstall "pvt-edge[openvino]"',
        ),
        (Answer(failure="there is no driver here: install it", with_mend=True), "there is no driver here: install it"),
    ],
)
def test_one_that_fails_names_the_mend(answer, reason):
    found = verdict("openvino", answer, {"openvino": Package("2025.2")}.items())
    assert (found.ready, found.version, found.reason, found.devices) == (False, "2025.2", reason, ())


@pytest.mark.parametrize("name", RUNTIMES)
def test_one_that_is_not_installed(monkeypatch, name):
    monkeypatch.setattr(table, "find_spec", lambda package: None)
    found = verdict(name, None)
    assert (found.ready, found.version) == (False, None)
    assert f"the {name} runtime needs " in found.reason
    assert "pip install" in found.reason or "apt install" in found.reason


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], False),
        (["around/__init__.py"], False),
        (["around/__init__.py", "around/inner/__init__.py"], True),
        (["around/inner/__init__.py"], True),  # as CUDA's packages share the folder cuda
        (["around/inner.py"], True),
        (["around/inner/text"], False),
        (["around.py"], False),
    ],
)
def test_packages_are_found_without_importing_any(monkeypatch, tmp_path, files, expected):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("raise RuntimeError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("around.inner") == expected
