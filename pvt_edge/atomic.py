"""Files and folders that are written whole, or not at all, and put in the place of older ones.

A kill at any moment leaves a whole folder. Beside `out/b0` there may lie `out/.b0.tmp-<pid>-<random>`, one being
written or an old one being deleted, and, between two renames, `out/.b0.old-<pid>-<random>`, the one that is being
replaced. A writer holds a lock on its temporary folder, which the kernel drops when the process dies; whoever renames
holds one on the parent. So a `.tmp-` without a lock is litter, and an `.old-` without `out/b0` is what was there.
"""

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pvt_edge.errors import BundleError, DataError, PvtEdgeError

_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network disks
_PATIENCE_S = 10.0  # two renames take microseconds: whoever holds the lock for longer is not one of us


def write_file(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write `content` to a file beside `path`, have it on the disk, and rename it; an error leaves all as it was.

    Without `sync` a power cut may lose it: for what is one of thousands and can be made again.

    A link goes on pointing where it points; into a device or a pipe, which nothing may take the place of, the content
    is just written. Raises `OSError`.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # /dev/stdout leads to a pipe that has no path
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    aside = path.with_name(f".{uuid4().hex}.partial")  # a longer name than the file's own might be too long
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink()


def sibling(folder: Path, kind: str) -> Path:
    """A fresh name beside `folder`; `kind` is "tmp" or "old"."""
    return folder.with_name(f".{folder.name}.{kind}-{os.getpid()}-{secrets.token_hex(4)}")


def siblings(folder: Path, kind: str) -> list[Path]:
    """What lies beside `folder` under such names, the newest last."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.{kind}-\d+-[0-9a-f]{{8}}")
    if not folder.parent.is_dir():
        return []
    found = []
    for entry in os.scandir(folder.parent):
        if pattern.fullmatch(entry.name):
            with suppress(FileNotFoundError):  # its owner may just be renaming it
                found.append((entry.stat().st_ctime, entry.path))
    return [Path(path) for _, path in sorted(found)]


def hold(folder: Path) -> int | None:
    """A lock on the folder, to give to `release`; None when another process holds it.

    Raises `OSError` where there are no locks.
    """
    try:
        import fcntl
    except ModuleNotFoundError as error:  # POSIX only
        raise OSError(errno.ENOSYS, "no locks on folders here") from error
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(opened)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return opened


def release(lock: int | None) -> None:
    """Let go of what `hold` returned."""
    if lock is not None:
        os.close(lock)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Whoever renames beside `folder` does it here, one at a time (where the disk has locks)."""
    lock, until = None, time.monotonic() + _PATIENCE_S
    try:
        while (lock := hold(folder.parent)) is None:
            if time.monotonic() > until:
                raise BundleError(f"another process has locked {folder.parent}: end it, or choose another place")
            time.sleep(0.01)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        release(lock)


def vacant(folder: Path) -> bool:
    """Whether nothing is there, or a folder with nothing in it."""
    return not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir()))


def recover(folder: Path) -> None:
    """Bring back what a killed writer had moved aside. Call within `alone`."""
    aside = siblings(folder, "old")
    if aside and vacant(folder):
        os.rename(aside[-1], folder)


def sweep(folder: Path) -> None:
    """Delete what killed writers have left beside a folder. Call within `alone`, after `recover`."""
    for old in siblings(folder, "old"):
        shutil.rmtree(old, ignore_errors=True)
    for temporary in siblings(folder, "tmp"):
        with suppress(OSError):  # without locks nobody knows whether it is still being written
            lock = hold(temporary)
            if lock is not None:
                shutil.rmtree(temporary, ignore_errors=True)
            release(lock)


def put(temporary: Path, folder: Path) -> None:
    """Rename `temporary` to `folder`; what was there is then deleted. Call within `alone`."""
    aside = sibling(folder, "old")
    try:
        if folder.exists():
            os.rename(folder, aside)
        os.rename(temporary, folder)
    except BaseException:
        recover(folder)
        raise
    sync_path(folder.parent)
    if aside.exists():
        os.rename(aside, temporary)  # from here on it is litter: a reader never brings back half of it
        shutil.rmtree(temporary, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Have all that is under `folder` on the disk, so that a rename never comes before its content."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync_path(Path(place) / name)
        sync_path(Path(place))


def sync_path(path: Path) -> None:
    """Have one file or folder on the disk."""
    if os.name != "posix" and path.is_dir():  # only files can be synced there
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@dataclass(frozen=True)
class OwnedFolder:
    """What a command may put its output in the place of: nothing, an empty folder, or an earlier output and no more.

    Attributes:
        writer: Who writes it, as messages say it: "verify", "an export".
        kind: What it is then: "a benchmark", "a bundle".
        markers: The files without which it is none.
        strays: What lies in such a folder and is the user's; raises a `PvtEdgeError` where a marker is of another kind.
        option: Names another place on the command line.
    """

    writer: str
    kind: str
    markers: tuple[str, ...]
    strays: Callable[[Path], Iterable[str]]
    option: str = "--out"

    @property
    def _elsewhere(self) -> str:
        return f"choose another place with {self.option}"

    def refusal(self, place: Path) -> str | None:
        """Why what is there may not be replaced; None where it may."""
        if os.path.ismount(place):
            return f"{place} is a mount point, which cannot be replaced; take a folder inside it"
        if vacant(place):
            return None
        if not place.is_dir():
            return f"{place} is a file, which {self.writer} will not replace"
        if not all((place / marker).is_file() for marker in self.markers):
            return f"{place} is neither empty nor {self.kind}, so {self.writer} will not replace it"
        try:
            strays = sorted(self.strays(place))
        except PvtEdgeError as error:
            return f"{self.writer} will not replace {self.kind} that it cannot read ({error})"
        if strays:
            shown = ", ".join(strays[:3]) + (", ..." if len(strays) > 3 else "")
            return f"{place} holds files that {self.writer} did not write ({shown}); move them out"
        return None

    def _require(self, place: Path) -> None:
        if (reason := self.refusal(place)) is not None:
            raise DataError(f"{reason}: {self._elsewhere}")

    def check(self, folder: Path) -> Path:
        """The folder, absolute, before there is anything to write.

        Raises `DataError` where something there would be lost, or where nothing can be written.
        """
        place = Path(os.path.realpath(folder))  # a link goes on pointing where it points
        if place == Path.cwd():
            raise DataError(f"{folder} is the folder you stand in, and would be replaced: {self._elsewhere}")
        trial = sibling(place, "tmp")
        try:
            self._require(place)
            made = [trial, *(parent for parent in trial.parents if not parent.exists())]
            trial.mkdir(parents=True)
            with suppress(OSError):  # what comes to nothing leaves nothing, but what others have put there meanwhile
                for each in made:
                    each.rmdir()
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}: {self._elsewhere}") from error
        return place

    def replace(self, folder: Path, write: Callable[[Path], None]) -> None:
        """Call `write` with a temporary folder and put that in the place of `folder`; an error leaves all as it was.

        Raises `DataError` for a place that cannot be written, or where something would be lost.
        """
        place = Path(os.path.realpath(folder))
        temporary = sibling(place, "tmp")
        try:
            temporary.mkdir(parents=True)
            write(temporary)
            with alone(place):
                self._require(place)  # somebody may have put something there meanwhile
                put(temporary, place)
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}: {self._elsewhere}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
