"""Where files go: names with the time in them, and whether a place can be written, found out before the work."""

import time
from pathlib import Path

from pvt_edge.errors import DataError


def check_place(path: Path) -> None:
    """Make the folder of `path` and write a file beside it, gone again at once. `DataError` where that fails."""
    trial = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error


def dated(path: str | Path) -> Path:
    """The path with the present time put in for %Y, %m ..., so that a restart does not write over the last run.

    >>> dated("out.mp4").name
    'out.mp4'
    """
    return Path(time.strftime(str(path))) if "%" in str(path) else Path(path)
