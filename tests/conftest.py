"""What tests of every folder share: the checkout, the command, the bundle of the bundled weights, real pictures.

Where PVT_EDGE_SKIPS names groups of `allowed_skips.toml`, a test that skips for another reason fails.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parents[1]


def allowed_skips() -> "re.Pattern[str] | None":
    """What the reason of a skip must match; None where all may skip."""
    groups = os.environ.get("PVT_EDGE_SKIPS")
    if groups is None:
        return None
    table = tomllib.loads((CHECKOUT / "tests" / "allowed_skips.toml").read_text(encoding="utf-8"))
    return re.compile(
        "|".join(pattern for group in groups.split() for part in table[group].values() for pattern in part)
    )


ALLOWED_SKIPS = allowed_skips()


def refuse_skip(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Make a failure of a skip that is not allowed."""
    if ALLOWED_SKIPS is None or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not ALLOWED_SKIPS.match(reason.removeprefix("Skipped: ")):
        report.outcome = "failed"
        report.longrepr = f"{reason!r} is no reason to skip here: see tests/allowed_skips.toml"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]"):
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def checkout() -> Path:
    return CHECKOUT


@pytest.fixture(scope="session")
def pvt_edge_script() -> str:
    """The installed console script."""
    script = shutil.which("pvt-edge", path=str(Path(sys.executable).parent))
    assert script, "the package is not installed: run make test"
    return script


@pytest.fixture
def pvt_edge_command(pvt_edge_script, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command with the given arguments in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        empty = tmp_path / "cwd"
        empty.mkdir(exist_ok=True)
        environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
        return subprocess.run(
            [pvt_edge_script, *arguments], capture_output=True, text=True, cwd=empty, env=environment, check=False
        )

    return run


@pytest.fixture(scope="session")
def cells_bundle(pvt_edge_script, tmp_path_factory) -> Path:
    """The bundle that `pvt-edge export --variant b0 --int8 --no-tune` writes: a search would take minutes."""
    out = tmp_path_factory.mktemp("bundle") / "b0"
    command = [pvt_edge_script, "export", "--variant", "b0", "--int8", "--no-tune", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def mount_disk(tmp_path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk of the size asked for ("40m"); skips where that needs rights the tests do not have."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        disk = tmp_path / f"disk{len(mounted)}"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture(scope="session")
def bccd() -> Path:
    """The folder of the BCCD images, which are no part of the repository."""
    folder = Path(os.environ.get("PVT_EDGE_BCCD", CHECKOUT.parent / "shared" / "data" / "bccd"))
    if not (folder / "instances_train.json").is_file():
        pytest.skip(f"no BCCD data in {folder}: set PVT_EDGE_BCCD to the folder with instances_train.json")
    return folder
