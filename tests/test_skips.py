"""In CI a test skips for a reason of tests/allowed_skips.toml, or fails."""

import os
import subprocess
import sys

import pytest

TESTS = """
import pytest

@pytest.mark.skipif(True, reason="no bfloat16 on this CPU")
def test_allowed(): ...

def test_not_allowed():
    pytest.importorskip("no_such_package")

def test_data():
    pytest.skip("no BCCD data in ../shared")

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    raise ValueError

def test_passes(): ...
"""
MODULE = 'import pytest\npytest.skip("onnx is not installed", allow_module_level=True)\n'


@pytest.fixture
def outcomes(tmp_path, checkout):
    """Runs tests with the skips of the groups named; gives the last line."""
    (tmp_path / "conftest.py").symlink_to(checkout / "tests" / "conftest.py")
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)

    def run(groups):
        environment = {name: value for name, value in os.environ.items() if name != "PVT_EDGE_SKIPS"}
        if groups is not None:
            environment["PVT_EDGE_SKIPS"] = groups
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-q"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize(
    ("groups", "summary"),
    [
        (None, "1 passed, 4 skipped, 1 xfailed"),
        ("machine", "2 failed, 1 passed, 1 skipped, 1 xfailed, 1 error"),
        ("machine data", "1 failed, 1 passed, 2 skipped, 1 xfailed, 1 error"),
    ],
)
def test_skips_of_other_reasons_fail(outcomes, groups, summary):
    code, shown = outcomes(groups)
    assert summary in shown
    assert (code == 0) == (groups is None)
    if groups:
        assert "could not import 'no_such_package'" in shown
        assert "'Skipped: onnx is not installed' is no reason to skip here: see tests/allowed_skips.toml" in shown
