"""OpenCV's video backends and windows, by what it says of how it was built."""

import re
from dataclasses import dataclass

BACKENDS = {"FFMPEG": "FFMPEG", "GStreamer": "GStreamer", "v4l/v4l2": "V4L2", "AVFoundation": "AVFoundation",
            "Media Foundation": "Media Foundation", "DirectShow": "DirectShow"}  # fmt: skip
GET_JETPACKS = "pip uninstall opencv-python, sudo apt install nvidia-opencv"  # has GStreamer


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
