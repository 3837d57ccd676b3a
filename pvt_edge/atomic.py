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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pvt_edge.errors import BundleError

_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network disks
_PATIENCE_S = 10.0  # two renames take microseconds: whoever holds the lock for longer is not one of us


def write_file(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write `content` to a file beside `path`, have it on the disk, and rename it; an error leaves all as it was.

    Without `sync` a power cut may lose it: for what is one of thousands and can be made again.

    A link goes on pointing where it points; into a device or a pipe, which nothing may take the place of, the content
    is just written. Raises `OSError`.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
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
