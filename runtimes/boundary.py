"""Where other people's packages begin: their exceptions become ours, and files are checked before they are given."""

import os.path
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pvt_edge.errors import BundleError, PvtEdgeError

_LONGEST = 300


def one_line(error: BaseException) -> str:
    """The message of an exception in one line, without the C++ source lines that OpenVINO and OpenCV put first."""
    opencv_text = getattr(error, "err", None)
    lines = [line.strip() for line in str(opencv_text or error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    text = "; ".join(kept or [line for line in lines if line]) or type(error).__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


@contextmanager
def boundary(action: str, mend: str) -> Iterator[None]:
    """Turn whatever is raised inside, save our own errors, into `BundleError` "{action}: {cause}: {mend}"."""
    try:
        yield
    except (PvtEdgeError, MemoryError):
        raise
    except Exception as error:
        raise BundleError(f"{action}: {one_line(error)}: {mend}") from error


def model_file(path: str | Path) -> Path:
    """`path` as a `Path`. Raises `BundleError` when it is not a file."""
    file = Path(path)
    if os.path.isdir(file):  # which is False of a name too long, where Path's raises
        raise BundleError(f"{file} is a folder: give a model file inside it")
    if not os.path.isfile(file):
        raise BundleError(f"no model file at {file}: check the path, or export again")
    return file


def is_utf8(file: Path) -> bool:
    """Whether the path can be told to C++ libraries as text: names on a disk may be any bytes."""
    try:
        str(file).encode()
    except UnicodeEncodeError:  # Python stands lone surrogates in for the bytes that are not
        return False
    return True
