"""The one place where the exceptions of other people's packages become ours."""

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
    if file.is_dir():
        raise BundleError(f"{file} is a folder: give a model file inside it")
    if not file.is_file():
        raise BundleError(f"no model file at {file}: check the path, or export again")
    return file
