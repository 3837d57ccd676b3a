"""What is installed: packages and their versions, which of pvt-edge's extras are complete, how OpenCV was built."""

import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from pathlib import Path

from pvt_edge.runtimes import RUNTIMES

# What another distribution stands in for
STAND_INS = {
    **{entry.distributions[0]: entry.distributions for entry in RUNTIMES.values() if entry.distributions},
    "cuda-python": ("cuda-bindings",),
}
EXTRA = re.compile(r"^([A-Za-z0-9._-]+).*;.*extra == ['\"]([a-z-]+)['\"]")
MARKER = re.compile(r"platform_machine == ['\"](\w+)['\"]")
BACKENDS = {"FFMPEG": "FFMPEG", "GStreamer": "GStreamer", "v4l/v4l2": "V4L2", "AVFoundation": "AVFoundation",
            "Media Foundation": "Media Foundation", "DirectShow": "DirectShow"}  # fmt: skip
GET_JETPACKS = "pip uninstall opencv-python, sudo apt install nvidia-opencv"  # has GStreamer


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python's version, and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Package:
    """An installed distribution; `system` where it came with the system's packages and not by pip."""

    version: str
    system: bool = False


def read_packages() -> dict[str, Package]:
    """Every distribution on the path by its name in lower case with dashes, the first found of each."""
    found: dict[str, Package] = {}
    for distribution in distributions():
        try:
            name, version = normal(distribution.metadata["Name"]), distribution.version
        except Exception:  # an interrupted install leaves a folder without a name in it
            continue
        found.setdefault(name, Package(version, _is_system(Path(str(distribution.locate_file(""))))))
    return found


def read_extras(packages: Iterable[str], machine: str) -> dict[str, tuple[str, ...]]:
    """pvt-edge's extras -> what is missing of each among the `packages` installed; empty where it is complete."""
    try:
        required = requires("pvt-edge") or []
    except PackageNotFoundError:  # run from a checkout
        return {}
    return missing_of(required, {normal(name) for name in packages}, machine)


def missing_of(required: Iterable[str], installed: set[str], machine: str) -> dict[str, tuple[str, ...]]:
    """As `read_extras`, of requirements as metadata has them."""
    missing: dict[str, list[str]] = {}
    for requirement in required:
        found = EXTRA.match(requirement)
        if found is None or found[2] == "dev":
            continue
        lacking = missing.setdefault(found[2], [])
        only_on = MARKER.search(requirement)
        name = normal(found[1])
        if only_on is not None and only_on[1] != machine:
            continue
        if not installed & {name, *STAND_INS.get(name, ())}:
            lacking.append(name)
    return {extra: tuple(names) for extra, names in missing.items()}


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_system(folder: Path) -> bool:
    return sys.platform.startswith("linux") and folder.as_posix().startswith("/usr/lib/")


@dataclass(frozen=True)
class OpenCvBuild:
    """`backends` are those of `BACKENDS` that are in; `gui` is what draws windows ("QT5"), None in a headless build."""

    version: str
    file: str
    backends: tuple[str, ...]
    gui: str | None


def read_build() -> OpenCvBuild:
    """The build of the OpenCV that is installed here."""
    import cv2

    return parse_build(cv2.__version__, str(getattr(cv2, "__file__", "")), cv2.getBuildInformation())


def parse_build(version: str, file: str, text: str) -> OpenCvBuild:
    """The build that `cv2.getBuildInformation()` describes."""
    values = dict(re.findall(r"^ {2,}([A-Za-z0-9/+ ]+): +(.*)$", text, re.MULTILINE))
    backends = tuple(name for key, name in BACKENDS.items() if values.get(key, "").startswith("YES"))
    return OpenCvBuild(version, file, backends, _gui(text))


def _gui(text: str) -> str | None:
    """The section's own value, "QT5" or "NONE"; older builds have only a YES behind one of its lines."""
    section = re.search(r"^ {2}GUI:(.*(?:\n {4,}.*)*)", text, re.MULTILINE)
    if section is None:
        return None
    head, *lines = section[1].splitlines()
    if head.strip():
        return None if head.strip() == "NONE" else head.strip()
    found = [line.partition(":")[0].strip() for line in lines if line.partition(":")[2].strip().startswith("YES")]
    return found[0] if found else None
