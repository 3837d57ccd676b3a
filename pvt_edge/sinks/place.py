"""Where files go: names with the time in them, places that can be written, and files that may be written over."""

import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO
from uuid import uuid4

from pvt_edge.errors import DataError
from pvt_edge.pictures.files import MARK

if TYPE_CHECKING:
    from pvt_edge.results import Result

DIRECTIVE = re.compile("%[aAbBcdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%]")  # of strftime, without flags and widths
LOOKED_AT_BYTES = 64 << 10  # of a file's beginning and end, for the mark
JSON_LINE = re.compile(rb'\{"path": .{0,4096}?"frame": \{"id": \d+, "captured_at": ', re.DOTALL)
CSV_HEAD = b"stream,source,frame,captured_at,name,class,confidence,"


def check_folder(folder: Path) -> None:
    """Make the folder and write a file there, gone again at once. `DataError` where that fails."""
    trial = folder / f".{uuid4().hex}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise DataError(f"cannot write into {folder}: {error.strerror or error}; choose another place") from error


def check_place(path: Path) -> None:
    """Make the folder of `path` and see that a file can be written there. `DataError` where not, or where it would take
    the place of a file that pvt-edge did not write."""
    check_replaceable(path)
    try:
        check_folder(path.parent)
    except DataError as error:
        raise DataError(str(error).replace(f"write into {path.parent}", f"write {path}")) from error.__cause__
    if os.path.isdir(path):
        raise DataError(f"cannot write {path}: it is a folder; choose another place")


def check_replaceable(path: Path) -> None:
    """`DataError` for a file that was there before and that pvt-edge did not write, whatever link leads to it.

    Its own it knows by their content: pictures and videos carry a mark, rows their form.
    """
    try:
        if not path.is_file() or path.stat().st_size == 0:  # nothing there, or a pipe or device
            return
        ours = _is_ours(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    if not ours:
        raise DataError(
            f"{path} is there already and was not written by pvt-edge, so it stays: choose another place, or move it"
        )


def open_alone(path: Path, *, errors: str = "strict", newline: str | None = None) -> TextIO:
    """A file of text, empty, that no other run writes until it is closed; a pipe or device as it is.

    `DataError` where another run writes it, which loses nothing by that. Raises `OSError`.
    """
    file = open(path, "a", encoding="utf-8", errors=errors, newline=newline)  # noqa: SIM115 - emptied once it is ours
    try:
        claim(file, path)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(0)
    except BaseException:
        file.close()
        raise
    return file


def claim(file: IO[Any], path: Path) -> None:
    """Keep other runs from writing this file until it is closed. `DataError`, naming `path`, where one does already.

    Does nothing for pipes and devices, and where system or disk has no locks.
    """
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return
    try:
        import fcntl
    except ModuleNotFoundError:  # POSIX only
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(f"{path} is being written by another run: choose another place, or end that run") from None
    except OSError:  # some network disks
        return


def check_free(file: Path, path: Path) -> None:
    """`DataError`, naming `path`, where another run is writing the file."""
    if file.is_file():
        with suppress(OSError), file.open("ab") as opened:  # who opens it to write tells what is wrong
            claim(opened, path)


def check_apart(path: Path, result: "Result") -> None:
    """`DataError` where saving to `path` would write over the result's own picture or video, or a file not of pvt-edge.

    A source may also be an address, with nothing of its name here.
    """
    if result.path is not None and os.path.exists(result.path) and path.exists() and path.samefile(result.path):
        raise DataError(f"saving to {path} would write over its source; choose another place")
    check_replaceable(path)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(LOOKED_AT_BYTES)
        file.seek(max(0, path.stat().st_size - LOOKED_AT_BYTES))
        return MARK in head or MARK in file.read() or head.startswith(CSV_HEAD) or JSON_LINE.match(head) is not None


def mark_video(path: Path) -> None:
    """Put the mark behind a video, as an element that players pass over. Raises `OSError`."""
    suffix = path.suffix.lower()
    if suffix in (".mkv", ".webm"):
        element = b"\xec" + bytes([0x80 | len(MARK)]) + MARK  # EBML Void
    elif suffix == ".avi":
        element = b"JUNK" + len(MARK + b"\0").to_bytes(4, "little") + MARK + b"\0"  # of even length
    else:
        element = (8 + len(MARK)).to_bytes(4, "big") + b"free" + MARK  # ISO base media file format
    with path.open("ab") as file:
        file.write(element)


def dated(path: str | Path) -> Path:
    """The path with the present time put in for %Y, %m ..., so that a restart does not write over the last run.

    Folders that are there under the very name keep it: "100%done/out.mp4" goes into "100%done". Other signs behind a %
    mean nothing: "clip%03d.mp4" is a name.

    >>> dated("out.mp4").name
    'out.mp4'
    """
    made = Path()
    for part in Path(path).parts:
        made /= part if os.path.isdir(made / part) else DIRECTIVE.sub(lambda found: time.strftime(found[0]), part)
    return made
