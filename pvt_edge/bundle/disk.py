"""What the disk may refuse, in our words, and making sure that what was written is on it."""

import errno
import os
from pathlib import Path

from pvt_edge.errors import BundleError

_MENDS = {
    errno.ENOSPC: "free some space on that disk, or export to another",
    errno.EDQUOT: "free some of your quota, or export to another disk",
    errno.EFBIG: "raise the file size limit (ulimit -f), or export to another disk",
    errno.EROFS: "that disk is read-only: export to another",
    errno.EXDEV: "it lies on a layered or mounted disk that cannot rename it: export to another folder",
    errno.EBUSY: "it is in use as a mount point: export to a folder inside it",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EEXIST: "part of that path is a file: export to another folder",
    errno.ENOTDIR: "part of that path is a file: export to another folder",
}


def write_failure(error: OSError, folder: Path) -> BundleError:
    """The error to raise for one that came while writing to `folder`."""
    mend = _MENDS.get(error.errno or 0, "export to a folder you may write to")
    return BundleError(f"cannot write {folder}: {error.strerror or error}: {mend}")


def is_write_failure(error: BaseException | None, folder: Path) -> bool:
    """Whether the error says that something under `folder` could not be written."""
    if not isinstance(error, OSError):
        return False
    if error.errno == errno.ENOENT:  # something to read that is not there
        return False
    named = error.filename if isinstance(error.filename, str | os.PathLike) else None
    if named is not None:
        return Path(os.fspath(named)).is_relative_to(folder)
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # write() names no file


def sync_tree(folder: Path) -> None:
    """Have all that is under `folder` on the disk, so that a rename never comes before its content."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync(Path(place) / name)
        sync(Path(place))


def sync(path: Path) -> None:
    """Have one file or folder on the disk."""
    if os.name != "posix" and path.is_dir():  # only files can be synced there
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
